/** The program `florence2` as people call it; Deno runs its sources as they are. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { fail, showLoading } from "../../commands/terminal.ts";
import { Florence2Error, tasks } from "../../index.ts";
import { cacheIn, contentOf, newFolder } from "../support/hub_cache.ts";
import { filesIn, REPOSITORY, startHub } from "../support/hub_server.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const deno = `${root}node_modules/.bin/deno`;
const picture = "tests/fixtures/pictures/coffee.png";

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function florence2(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const options = { cwd: root, env: { ...process.env, ...env } };
  const program = ["run", "-A", "--unstable-webgpu", "cli.ts", ...args];
  return promisify(execFile)(deno, program, options).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }: Ended) => ({ code, stdout, stderr }),
  );
}

describe.skipIf(!existsSync(deno))("florence2", () => {
  it.each([
    ["cli.ts", [], "florence2 [picture]"],
    ["commands/doctor/doctor.ts", ["doctor"], "florence2 doctor [model]"],
    ["commands/quantize/quantize.ts", ["quantize"], "florence2 quantize MODEL FOLDER"],
  ] as const)("%s explains every option", async (file, command, usage) => {
    const { code, stdout } = await florence2([...command, "--help"]);
    expect(code).toBe(0);
    const source = await readFile(join(root, file), "utf8");
    const options = [...source.matchAll(/^ {6}"?([a-z-]+)"?: \{ type: /gm)].map(([, name]) => `--${name}`);
    expect(options.length).toBeGreaterThan(2);
    for (const option of options) expect(stdout).toContain(option);
    if (command.length === 0) for (const { token } of tasks) expect(stdout).toContain(token);
    expect(stdout).toContain(usage);
  });

  it.each([
    ["a folder", ["a", "--dtype", "q4"], /takes a model and a folder to be made/],
    ["a dtype", ["a", "b"], /--dtype is "", expected q8 or q4/],
    ["a dtype of blocks", ["a", "b", "--dtype", "f16"], /--dtype is "f16", expected q8 or q4/],
  ] as const)("quantize misses %s, and says so", async (_, args, message) => {
    const { code, stderr } = await florence2(["quantize", ...args]);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  it.each([
    ["an unknown option", ["--beams", "3"], /--beams'.*\nflorence2 --help lists/],
    ["an option without its value", ["--model"], /--model.*\nflorence2 --help lists/],
    ["an unknown option of doctor", ["doctor", "--fix"], /--fix'.*\nflorence2 doctor --help lists/],
    ["two models for doctor", ["doctor", "a", "b"], /one model at a time, not also b/],
    ["no such picture", ["nothing.jpg"], /nothing\.jpg/],
    ["a picture that is none", ["package.json"], /package\.json|not a picture|JPEG/],
    ["an unknown task", [picture, "<FIND>"], /unknown task "<FIND>"\. Tasks: <CAPTION> /],
    ["a task without its text", [picture, "<CAPTION_TO_PHRASE_GROUNDING>"], /needs a text/],
    ["a task without its region", [picture, "<REGION_TO_OCR>"], /needs a region/],
    ["a region that is none", [picture, "<REGION_TO_OCR>", "--region", "1,2,3"], /X1,Y1,X2,Y2/],
    ["a number that is none", [picture, "--num-beams", "many"], /--num-beams is many, expected a whole/],
  ] as const)("%s: says so before a model is looked for", async (_, args, message) => {
    const { code, stdout, stderr } = await florence2(
      args[0] === "doctor" || args[0] === "--model" ? args : [...args, "--model", "./no-such-model"],
    );
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/no-such-model|^ {4}at /m);
    expect([code, stdout]).toEqual([1, ""]);
  });

  it("no such model, and no such device", async () => {
    const options = ["--out", "none", "--model"];
    const absent = await florence2([picture, ...options, "./no-such-model"]);
    expect(absent.stderr).toMatch(/no-such-model.*neither a folder here nor the id of a repository/);
    const device = await florence2([picture, ...options, "checkpoints/nano", "--device", "tpu"]);
    expect(device.stderr).toMatch(/device is tpu, expected "auto", "gpu", "cpu"/);
    expect([absent.code, device.code]).toEqual([1, 1]);
  });

  it("answers with a model from a hub, and without the hub afterwards", async () => {
    const fixtures = join(root, "tests/fixtures/flavours");
    const { prompts, max_new_tokens } = JSON.parse(await readFile(join(fixtures, "expected.json"), "utf8"));
    const hub = await startHub(await filesIn(join(fixtures, "transformers")));
    const folder = await newFolder();
    try {
      const args = [picture, "<CAPTION>", "--model", REPOSITORY, "--device", "cpu", "--json"];
      const options = ["--max-new-tokens", String(max_new_tokens), "--out", "none"];
      for (const isOffline of ["0", "1"]) {
        const env = { HF_ENDPOINT: hub.url, HF_HUB_CACHE: folder, HF_HUB_OFFLINE: isOffline };
        hub.requests.length = 0;
        const { code, stdout } = await florence2([...args, ...options], env);
        expect(hub.requests.length > 0).toBe(isOffline === "0");
        expect(JSON.parse(stdout)["<CAPTION>"].tokens).toEqual(prompts[0].tokens);
        expect(code).toBe(0);
      }
    } finally {
      await hub.close();
      await rm(folder, { recursive: true });
    }
  });
});

describe("stderr", () => {
  /** What is written there while `body` runs. */
  async function written(isTTY: boolean, body: () => unknown): Promise<string> {
    const before = process.stderr.isTTY;
    const spy = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    try {
      process.stderr.isTTY = isTTY;
      await body();
      return spy.mock.calls.map(([text]) => text).join("");
    } finally {
      process.stderr.isTTY = before;
      spy.mockRestore();
    }
  }

  it("is a bar that fills while a model is downloaded, in a terminal only", async () => {
    const hub = await startHub({ "model.safetensors": new Uint8Array(3_000_000) });
    const folder = await newFolder();
    try {
      const download = () =>
        contentOf(cacheIn(folder, hub, { onProgress: showLoading }), "model.safetensors");
      const lines = (await written(true, download)).split("\r\x1b[K").slice(1);
      const shares = lines.map((line) => {
        const [, bar, percent] = /^downloading \[([#.]{30})\] (\d+) % \d\.\d of 3\.0 MB$/.exec(line)!;
        expect(Math.abs(bar!.replaceAll(".", "").length - 0.3 * Number(percent))).toBeLessThanOrEqual(1);
        return Number(percent);
      });
      expect(shares.length).toBeGreaterThan(3);
      expect(shares).toEqual(shares.toSorted((a, b) => a - b));
      expect(shares.at(-1)).toBe(100);
      expect(lines.at(-1)).toBe(`downloading [${"#".repeat(30)}] 100 % 3.0 of 3.0 MB`);
      await rm(folder, { recursive: true });
      expect(await written(false, download)).toBe("");
    } finally {
      await hub.close();
      await rm(folder, { recursive: true });
    }
  });

  it("has a stack only for what is a fault of this library", async () => {
    const known = new Florence2Error("option_invalid", "dtype is q3");
    expect(await written(false, () => fail(known, "florence2"))).toBe("dtype is q3\n");
    expect(await written(false, () => fail(new Error("unforeseen"), "florence2"))).toMatch(
      /unforeseen\n {4}at /,
    );
  });
});
