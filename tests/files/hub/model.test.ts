import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { Florence2, type ProgressEvent } from "../../../index.ts";
import { newFolder } from "../../support/hub_cache.ts";
import { filesIn, REPOSITORY, startHub } from "../../support/hub_server.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const nano = `${root}checkpoints/nano`;
const deno = `${root}node_modules/.bin/deno`;

it("a repository on a hub becomes a model, and does without the hub afterwards", async () => {
  const files = await filesIn(nano);
  const hub = await startHub(files);
  const folder = await newFolder();
  try {
    vi.stubEnv("HF_ENDPOINT", hub.url);
    vi.stubEnv("HF_HOME", folder);
    const events: ProgressEvent[] = [];
    const load = () =>
      Florence2.fromPretrained(REPOSITORY, { device: "cpu", onProgress: (event) => events.push(event) });
    const model = await load();
    const total = events.find((event) => event.status === "progress_total")!.total;
    expect(total).toBeGreaterThan(files["model.safetensors"]!.length);
    expect(events.at(-1)).toEqual({ status: "ready", device: model.device.name });
    model.dispose();

    vi.stubEnv("HF_HUB_OFFLINE", "1");
    hub.requests.length = 0;
    const again = await load();
    expect(again.config).toEqual(model.config);
    expect(hub.requests).toEqual([]);
    again.dispose();
  } finally {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
    await hub.close();
  }
});

describe.skipIf(!existsSync(deno))("Deno's command line and Node's library", () => {
  const tiny = `${root}tests/fixtures/flavours`;
  type Question = { readonly picture: string; readonly maxNewTokens: number };
  /** Tokens of a caption, by a model of the hub. */
  const asking = {
    async Node({ picture, maxNewTokens }: Question): Promise<readonly number[]> {
      const model = await Florence2.fromPretrained(REPOSITORY, { device: "cpu" });
      const { tokens } = await model.run(picture, "<CAPTION>", { maxNewTokens });
      model.dispose();
      return tokens;
    },
    async Deno({ picture, maxNewTokens }: Question): Promise<readonly number[]> {
      const program = [
        "run",
        "-A",
        "--unstable-webgpu",
        "cli.ts",
        picture,
        "<CAPTION>",
        "--model",
        REPOSITORY,
      ];
      const options = ["--device", "cpu", "--max-new-tokens", `${maxNewTokens}`, "--json", "--verbose"];
      const { stdout } = await promisify(execFile)(deno, [...program, ...options], { cwd: root });
      return JSON.parse(stdout).tokens;
    },
  };

  it.each([
    ["Deno", "Node"],
    ["Node", "Deno"],
  ] as const)("have one cache: what %s downloaded, %s finds without the hub", async (first, second) => {
    const { picture, max_new_tokens, prompts } = JSON.parse(await readFile(`${tiny}/expected.json`, "utf8"));
    const question = { picture: `${root}tests/fixtures/pictures/${picture}`, maxNewTokens: max_new_tokens };
    const hub = await startHub(await filesIn(`${tiny}/microsoft-bin`));
    const folder = await newFolder();
    try {
      vi.stubEnv("HF_ENDPOINT", hub.url);
      vi.stubEnv("HF_HOME", folder);
      expect(await asking[first](question)).toEqual(prompts[0].tokens);
      expect(hub.requests.some(({ host }) => host === "cdn")).toBe(true);
      vi.stubEnv("HF_HUB_OFFLINE", "1");
      hub.requests.length = 0;
      expect(await asking[second](question)).toEqual(prompts[0].tokens);
      expect(hub.requests).toEqual([]);
    } finally {
      vi.unstubAllEnvs();
      await rm(folder, { recursive: true });
      await hub.close();
    }
  });
});
