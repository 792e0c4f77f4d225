import { execFile, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { version } from "../operations/version.ts";
import { chatAbout } from "./support/service.ts";
import { type StartedServer, startServer, stopServer } from "./support/started_server.ts";

const path = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const post = (url: string, body: unknown) =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

describe("the program", () => {
  it("answers on SIGTERM what it has accepted, takes nothing new, and ends with 0", async () => {
    const server = await startServer();
    expect(server.log.filter((line) => line.includes("knows only drawn scenes"))).toHaveLength(1);
    const posted = Array.from({ length: 8 }, () => post(server.url, chatAbout("<OD>")));
    // Some may be answered before the last one is accepted.
    const accepted = /^florence2_requests_(?:running|waiting|total\{.*\}) (\d+)$/gm;
    const count = async () => {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      return [...text.matchAll(accepted)].reduce((sum, [, number]) => sum + Number(number), 0);
    };
    while ((await count()) < 8) await new Promise((resolve) => setTimeout(resolve, 5));
    server.process.kill("SIGTERM");
    while (!server.log.some((line) => line.includes('"draining"')))
      await new Promise((resolve) => setTimeout(resolve, 5));
    const late = await post(server.url, chatAbout("<OD>")).then(
      ({ status }) => status,
      () => "no connection",
    );
    expect([503, "no connection"]).toContain(late);
    for (const response of await Promise.all(posted)) {
      expect(response.status).toBe(200);
      expect((await response.json()).choices[0].message.content).toMatch(/\w/);
    }
    expect(await server.ended).toBe(0);
    expect(server.log.at(-1)).toContain('"stopped"');
  });

  it("keeps the connection of a request that was answered before its body came", async () => {
    const server = await startServer();
    const head = "HTTP/1.1\r\nHost: localhost\r\n";
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    let received = "";
    socket.setEncoding("utf8").on("data", (text: string) => {
      received += text;
    });
    const ended = new Promise((resolve) => socket.once("close", resolve));
    const answer = async (status: number) => {
      while (!received.startsWith(`HTTP/1.1 ${status}`)) {
        expect(socket.destroyed).toBe(false);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      received = "";
    };
    socket.write(`POST /v1/nothing ${head}Content-Length: 10\r\n\r\n`);
    await answer(404);
    // Longer than libraries wait for the rest.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    socket.write(`0123456789GET /livez ${head}\r\n`);
    await answer(200);
    socket.destroy();
    await ended;
    expect(await stopServer(server)).toBe(0);
  });

  const tell = (...args: string[]) =>
    spawnSync(process.execPath, [path("dist/main.js"), ...args], { encoding: "utf8" });

  it("tells its version, its help and its settings", () => {
    expect(tell("--version").stdout.trim()).toBe(version);
    expect(tell("--help").stdout).toMatch(/--max-queue N/);
    expect(JSON.parse(tell("--print-config", "--api-key", "secret").stdout)).toMatchObject({
      port: 8000,
      "api-key": ["***"],
    });
  });

  it("ends with 2 and the flag's name for settings that cannot be", () => {
    for (const [args, named] of [
      [["--port", "x"], "--port"],
      [["--host", "0.0.0.0"], "--host 0.0.0.0"],
      [["--nope"], "--nope"],
    ] as const) {
      const { status, stderr } = tell(...args);
      expect(status).toBe(2);
      expect(stderr).toContain(named);
      expect(stderr).not.toMatch(/\n\s+at /);
    }
  });

  it("ends with 1 when there is no such model", () => {
    const { status, stderr } = tell("--port", "0", "--model", "/no/such/folder");
    expect(status).toBe(1);
    expect(stderr).toContain("/no/such/folder");
  });
});

describe("the README", () => {
  let server: StartedServer;
  let folder: string;
  beforeAll(async () => {
    server = await startServer();
    folder = mkdtempSync(join(tmpdir(), "florence2-readme-"));
    copyFileSync(path("../../examples/scene.png"), join(folder, "photo.png"));
  });
  afterAll(() => stopServer(server));

  const readme = readFileSync(path("README.md"), "utf8");
  const blocks = (language: string) =>
    [...readme.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map(([, code]) =>
      code!.replaceAll("http://127.0.0.1:8000", server.url),
    );

  it("has curl commands that work", async () => {
    const commands = blocks("sh");
    expect(commands.length).toBe(3);
    for (const command of commands) {
      const { stdout } = await promisify(execFile)("bash", ["-c", command], { cwd: folder });
      const answer = JSON.parse(stdout);
      expect(
        answer.results?.[0].objects ?? answer.results?.[0].text ?? answer.choices[0].message.content,
        stdout,
      ).toBeTruthy();
    }
  });

  it("has a program for the openai package that works", async () => {
    const code = blocks("js")[0]!.replace('"photo.png"', JSON.stringify(join(folder, "photo.png")));
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", code], {
      cwd: path("."),
    });
    expect(stdout).toMatch(/\(\d+, \d+, \d+, \d+\) 0\.\d\d/);
  });

  const python = process.env.FLORENCE2_PYTHON ?? "";
  it.skipIf(!python)(
    "has a program for Python's openai package that works (FLORENCE2_PYTHON names an interpreter that has it)",
    async () => {
      const { stdout } = await promisify(execFile)(python, ["-c", blocks("python")[0]!], { cwd: folder });
      expect(stdout).toMatch(/\(\d+, \d+, \d+, \d+\) 0\.\d\d/);
    },
  );

  it.skipIf(!python)(
    "Python's openai package and LiteLLM: plain, streamed, typed, errors (tests/clients/clients.py)",
    async () => {
      const { stdout } = await promisify(execFile)(python, [
        path("tests/clients/clients.py"),
        server.url,
        join(folder, "photo.png"),
      ]);
      expect(stdout.trim().split("\n")).toEqual([
        "openai plain",
        "openai stream",
        "openai extra_body",
        "openai error",
        "openai responses",
        "openai batch",
        "litellm plain",
        "litellm stream",
      ]);
    },
  );
});

it("600 requests, one in fifty of them hostile, are answered, and nothing of them is left", () => {
  const soak = [path("scripts/soak.mjs"), "--requests", "600"];
  const { status, stdout, stderr } = spawnSync(process.execPath, soak, { encoding: "utf8" });
  expect(stdout, stderr).toMatch(/faults: 0\n/);
  expect(stdout).toMatch(/left at the end: 0 waiting, 0 running; the server ended with 0/);
  expect(status, stdout).toBe(0);
});
