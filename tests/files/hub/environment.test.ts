import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { hubEnvironment } from "../../../files/hub/environment.ts";
import { newFolder } from "../../support/hub_cache.ts";

let folder: string;
beforeEach(async () => {
  folder = await newFolder();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

describe("the environment", () => {
  const NONE = Object.fromEntries(
    ["HOME", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT", "HF_TOKEN"]
      .concat(["HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
      .map((name) => [name, name === "HOME" ? "/home/me" : ""]),
  );
  const read = (env: Record<string, string>) => {
    for (const [name, value] of Object.entries({ ...NONE, ...env })) vi.stubEnv(name, value);
    return hubEnvironment();
  };

  it.each([
    [{}, "/home/me/.cache/huggingface/hub"],
    [{ XDG_CACHE_HOME: "/xdg" }, "/xdg/huggingface/hub"],
    [{ XDG_CACHE_HOME: "/xdg", HF_HOME: "~/hf" }, "/home/me/hf/hub"],
    [{ HF_HOME: "$HOME/$XDG_CACHE_HOME", XDG_CACHE_HOME: "b" }, "/home/me/b/hub"],
    [{ HF_HOME: "/hf", HUGGINGFACE_HUB_CACHE: "/old" }, "/old"],
    [{ HUGGINGFACE_HUB_CACHE: "/old", HF_HUB_CACHE: "/new" }, "/new"],
  ])("%j: files lie in %s", async (env, expected) => {
    expect((await read(env)).cacheFolder).toBe(expected);
  });

  it("tells address, token and offline mode", async () => {
    expect(await read({})).toMatchObject({ endpoint: undefined, token: undefined, isOffline: false });
    expect(
      await read({ HF_ENDPOINT: "https://mirror", HF_TOKEN: " hf_a\n", HF_HUB_OFFLINE: "1" }),
    ).toMatchObject({
      endpoint: "https://mirror",
      token: "hf_a",
      isOffline: true,
    });
    await writeFile(join(folder, "token"), "hf_stored\n");
    expect((await read({ HF_HOME: folder })).token).toBe("hf_stored");
    expect((await read({ HF_HOME: folder, HF_TOKEN: "hf_a" })).token).toBe("hf_a");
    expect((await read({ HF_HOME: folder, HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" })).token).toBeUndefined();
  });
});
