import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Client as EarlierClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as EarlierTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { Florence2 } from "florence2-webgpu";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const main = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const path = (name: string) => fileURLToPath(new URL(`../../../${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "florence2-mcp-"));
copyFileSync(path("examples/scene.png"), join(folder, "scene.png"));
symlinkSync(path("examples/scene.png"), join(folder, "link.png"));

/** Milliseconds that an answer may take on a busy machine. */
const PATIENCE = 600_000;
const identity = { name: "test", version: "0" };
const command = {
  command: process.execPath,
  args: [main, "--device", "cpu", "--root", folder, "--request-timeout", "30m"],
  stderr: "pipe" as const,
};

const deno = path("node_modules/.bin/deno");

const box = { x1: 20, y1: 20, x2: 120, y2: 120 };
/** A call of each tool, and whether an image comes back. */
const CALLS: Readonly<Record<string, readonly [fields: Record<string, unknown>, isDrawn: boolean]>> = {
  describe_image: [{ detail: "short" }, false],
  detect_objects: [{ picture: true }, true],
  find: [{ phrases: ["the boat"], picture: true }, true],
  read_text: [{ regions: [box] }, false],
  segment: [{ box, coordinates: "relative" }, false],
  describe_region: [{ box, kind: "category" }, false],
  crop: [{ label: "boat" }, true],
  annotate: [{ task: "<OCR_WITH_REGION>" }, true],
  florence2: [{ task: "<DENSE_REGION_CAPTION>" }, false],
};

// biome-ignore lint/suspicious/noExplicitAny: tests say what they expect.
type Answer = { isError?: boolean; structuredContent?: any; content: { type: string; text?: string }[] };
interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onprogress?: () => void;
}
interface Connected {
  readonly tools: readonly string[];
  readonly call: (name: string, args: Record<string, unknown>, options?: CallOptions) => Promise<Answer>;
  /** What the program wrote to standard error so far. */
  readonly log: () => string;
  readonly close: () => Promise<void>;
}

async function today(program = command): Promise<Connected> {
  const client = new Client(identity, { versionNegotiation: { mode: "auto" } });
  const transport = new StdioClientTransport(program);
  const log = collect(transport.stderr);
  await client.connect(transport);
  expect(client.getNegotiatedProtocolVersion()).toBe("2026-07-28");
  const { tools } = await client.listTools();
  return {
    tools: tools.map(({ name }) => name),
    call: async (name, args, options) =>
      (await client.callTool({ name, arguments: args }, { timeout: PATIENCE, ...options })) as Answer,
    log,
    close: () => client.close(),
  };
}

/** All that a stream gave so far. */
function collect(stream: unknown): () => string {
  let text = "";
  (stream as Readable).setEncoding("utf8").on("data", (more: string) => {
    text += more;
  });
  return () => text;
}

async function before(): Promise<Connected> {
  const client = new EarlierClient(identity);
  const transport = new EarlierTransport(command);
  const log = collect(transport.stderr);
  await client.connect(transport);
  const { tools } = await client.listTools();
  return {
    tools: tools.map(({ name }) => name),
    call: async (name, args, options) =>
      (await client.callTool({ name, arguments: args }, undefined, {
        timeout: PATIENCE,
        ...options,
      })) as Answer,
    log,
    close: () => client.close(),
  };
}

describe.each([
  ["today's client", () => today()],
  ["the client of the SDK before", before],
] as const)("%s", (_, connect) => {
  let client: Connected;
  beforeAll(async () => {
    client = await connect();
  });
  afterAll(() => client.close());

  it("gets the model's own answer about a file", async () => {
    const { structuredContent, content } = await client.call("florence2", { image: "scene.png", task: "OD" });
    using model = await Florence2.fromPretrained(path("checkpoints/nano"), { device: "cpu" });
    const { answer, objects } = await model.run(join(folder, "scene.png"), "<OD>");
    expect(structuredContent.answer).toEqual(answer);
    expect(content[0]!.text).toContain(objects[0]!.label);
  });

  it("is offered every tool", () => expect(client.tools).toEqual(Object.keys(CALLS)));

  it.each(Object.entries(CALLS))(
    "calls %s, and its answer fits the schema",
    async (name, [fields, isDrawn]) => {
      // The clients check structured content against the schemas that they were told.
      const { isError, structuredContent, content } = await client.call(name, {
        image: "scene.png",
        ...fields,
      });
      expect(isError, content[0]!.text).toBeFalsy();
      expect(structuredContent.image_id).toMatch(/^img_/);
      expect(content.map(({ type }) => type)).toEqual(isDrawn ? ["text", "image"] : ["text"]);
    },
  );

  it("ends a call that it cancels", async () => {
    const cancel = new AbortController();
    const phrases = Array.from({ length: 16 }, (_, i) => `the circle number ${i}`);
    const options = { signal: cancel.signal, onprogress: () => cancel.abort() };
    await expect(client.call("find", { image: "scene.png", phrases }, options)).rejects.toThrow();
    const ended = /"tool":"find".*"code":"client_closed_request"/;
    while (!ended.test(client.log())) await new Promise((resolve) => setTimeout(resolve, 10));
    expect((await client.call("describe_image", { image: "scene.png" })).isError).toBeFalsy();
  });

  it("gets no file outside, by path or link", async () => {
    for (const image of ["/etc/hostname", "link.png", { path: "../scene.png" }]) {
      const { isError, content } = await client.call("describe_image", { image });
      expect(isError).toBe(true);
      expect(content[0]!.text).toMatch(/not allowed.*--root.*\(path_not_allowed\)/);
    }
  });
});

it.skipIf(!existsSync(deno))("runs under Deno", async () => {
  const client = await today({ ...command, command: deno, args: ["run", "-A", ...command.args] });
  const { structuredContent } = await client.call("describe_image", { image: "scene.png" });
  expect(structuredContent.text).toMatch(/\w/);
  await client.close();
});

it("writes nothing but messages to standard output, and ends with its input", async () => {
  const child = spawn(command.command, command.args, { stdio: ["pipe", "pipe", "pipe"] });
  let [output, log] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  const send = (message: object) => child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: identity };
  send({ id: 1, method: "initialize", params });
  send({ method: "notifications/initialized" });
  const call = { name: "florence2", arguments: { image: "scene.png", task: "<NOPE>" } };
  send({ id: 2, method: "tools/call", params: call });
  while (!output.includes('"id":2')) await new Promise((resolve) => setTimeout(resolve, 20));
  child.stdin.end();
  expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(0);
  const messages = output
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(messages.every(({ jsonrpc }) => jsonrpc === "2.0")).toBe(true);
  expect(messages[0].result.protocolVersion).toBe("2025-06-18");
  expect(log).toContain('"tool_called"');
});

it("tells its help and version, and ends with 2 for a flag that is none", () => {
  const tell = (flag: string) => spawnSync(process.execPath, [main, flag], { encoding: "utf8" });
  expect(tell("--help").stdout).toContain("--root FOLDER");
  expect(tell("--version").stdout.trim()).toBe(
    JSON.parse(readFileSync(path("apps/mcp/package.json"), "utf8")).version,
  );
  expect(tell("--nope")).toMatchObject({ status: 2, stderr: expect.stringContaining("--nope") });
});
