import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { florenceError } from "../../support/errors.ts";
import { cacheIn, contentOf, expectedListing, faultsIn, listing } from "../../support/hub_cache.ts";
import { cut, REPOSITORY, sha256Of } from "../../support/hub_server.ts";
import {
  asked,
  blob,
  fetchAll,
  files,
  folder,
  hub,
  inRepository,
  NAMES,
  text,
  weights,
} from "../../support/tiny_hub.ts";

describe("a cache on disk", () => {
  it("has Python's layout", async () => {
    const cache = cacheIn(folder, hub);
    await fetchAll();
    expect(await cache.has("config.json")).toBe(true);
    expect(await cache.has("adapter_config.json")).toBe(false);
    expect(await listing(folder)).toEqual(expectedListing(files, hub.commit, ["adapter_config.json"]));
    expect(await readFile(inRepository("refs", "main"), "utf8")).toBe(hub.commit);
  });

  it("fetches nothing twice, and asks nothing about a commit", async () => {
    await fetchAll();
    hub.requests.length = 0;
    await fetchAll();
    expect(asked("GET")).toEqual([]);
    hub.requests.length = 0;
    await fetchAll({ revision: hub.commit });
    expect(hub.requests).toEqual([]);
  });

  it("asks once for files that the repository does not have", async () => {
    for (const expected of [2, 1]) {
      hub.requests.length = 0;
      const cache = cacheIn(folder, hub);
      expect(await cache.has("config.json")).toBe(true);
      expect(await cache.has("absent.json")).toBe(false);
      expect(new Set(asked("HEAD").map(({ path }) => path.split("/").at(-1))).size).toBe(expected);
    }
    await expect(cacheIn(folder, hub).open("absent.json")).rejects.toEqual(
      florenceError("file_not_found", "absent.json", REPOSITORY, "main"),
    );
  });

  it("takes the files of a new commit, and shares what did not change", async () => {
    await fetchAll();
    const before = hub.commit;
    hub.push({ ...files, "config.json": text("{}") });
    expect(await contentOf(cacheIn(folder, hub), "config.json")).toEqual(text("{}"));
    hub.requests.length = 0;
    expect(await contentOf(cacheIn(folder, hub, { revision: hub.commit }), "model.safetensors")).toHaveLength(
      weights.length,
    );
    expect(asked("GET")).toEqual([]);
    expect(await readFile(inRepository("refs", "main"), "utf8")).toBe(hub.commit);
    expect(await readdir(inRepository("snapshots"))).toEqual(expect.arrayContaining([before, hub.commit]));
    expect(await faultsIn(folder)).toEqual([]);
  });

  it("knows revisions with folders in their names", async () => {
    await contentOf(cacheIn(folder, hub, { revision: "refs/pr/1" }), "config.json");
    expect(await readFile(inRepository("refs/refs/pr/1"), "utf8")).toBe(hub.commit);
    await expect(cacheIn(folder, hub, { revision: "v9" }).open("config.json")).rejects.toEqual(
      florenceError("repository_not_found", "v9", "commits"),
    );
  });

  it.each(["../x", "/etc", "a/../../b", ""])("refuses the revision %j", (revision) => {
    expect(() => cacheIn(folder, hub, { revision })).toThrow(florenceError("option_invalid", "revision"));
  });
});

describe("without a network", () => {
  it("HF_HUB_OFFLINE: what was downloaded, without a request", async () => {
    await fetchAll();
    hub.requests.length = 0;
    await fetchAll({ isOffline: true });
    expect(await cacheIn(folder, hub, { isOffline: true }).has("absent.json")).toBe(false);
    expect(hub.requests).toEqual([]);
  });

  it("an empty cache and part of one say what is missing", async () => {
    const offline = () => cacheIn(folder, hub, { isOffline: true }).open("model.safetensors");
    await expect(offline()).rejects.toEqual(
      florenceError("file_not_found", "model.safetensors", folder, "HF_HUB_OFFLINE"),
    );
    await contentOf(cacheIn(folder, hub), "config.json");
    await expect(offline()).rejects.toEqual(
      florenceError("file_not_found", "model.safetensors", folder, "HF_HUB_OFFLINE"),
    );
  });

  it("a hub that is down: what was downloaded, with one warning", async () => {
    await fetchAll();
    hub.faults = [cut()];
    hub.requests.length = 0;
    const warnings: string[] = [];
    const cache = cacheIn(folder, hub, { onWarning: (message) => warnings.push(message) });
    for (const name of NAMES) expect(await contentOf(cache, name)).toHaveLength(files[name].length);
    expect(hub.requests).toHaveLength(1);
    expect(warnings).toEqual([expect.stringContaining("Using what was downloaded before")]);
    // Not in the cache, so asked for, in vain: from then on nothing is fetched that may fit or not.
    expect(await cache.has("generation_config.json")).toBe(false);
    hub.faults = [];
    expect(await cache.has("preprocessor_config.json")).toBe(false);
  });

  it("a hub that is down is no reason to leave out what was never looked for", async () => {
    await contentOf(cacheIn(folder, hub), "config.json");
    const cache = cacheIn(folder, hub);
    await contentOf(cache, "config.json");
    hub.faults = [cut()];
    await expect(cache.open("model.safetensors")).rejects.toEqual(
      florenceError("download_failed", "model.safetensors"),
    );
    hub.faults = [];
    expect(await contentOf(cache, "model.safetensors")).toHaveLength(weights.length);
  });
});

/** A Python with huggingface_hub, such as the one that tests/reference/run uses. */
const python = process.env.FLORENCE2_REFERENCE_PYTHON;

describe.skipIf(!python)("Python's hub (FLORENCE2_REFERENCE_PYTHON)", () => {
  /** Prints the SHA-256 of each file, and whether the cache knows that there is no absent.json. */
  const SCRIPT = `
import hashlib, json, sys
from huggingface_hub import hf_hub_download, scan_cache_dir, try_to_load_from_cache, _CACHED_NO_EXIST
from huggingface_hub.errors import EntryNotFoundError
repository, *names = sys.argv[1:]
found = {name: hashlib.sha256(open(hf_hub_download(repository, name), "rb").read()).hexdigest() for name in names}
try:
    hf_hub_download(repository, "absent.json")
except EntryNotFoundError:
    pass
absent = try_to_load_from_cache(repository, "absent.json") is _CACHED_NO_EXIST
print(json.dumps({"found": found, "absent": absent, "warnings": [str(w) for w in scan_cache_dir().warnings]}))
`;
  const inPython = async (env: Record<string, string>) => {
    const child = spawn(python!, ["-c", SCRIPT, REPOSITORY, ...NAMES], {
      env: { ...process.env, HF_ENDPOINT: hub.url, HF_HUB_CACHE: folder, ...env },
    });
    let output = "";
    child.stdout.on("data", (data) => {
      output += data;
    });
    await new Promise((resolve) => child.on("close", resolve));
    return JSON.parse(output);
  };
  const expected = {
    found: Object.fromEntries(NAMES.map((name) => [name, sha256Of(files[name])])),
    absent: true,
    warnings: [],
  };

  it("finds what was downloaded here, without a request", async () => {
    await fetchAll();
    const cache = cacheIn(folder, hub);
    await contentOf(cache, "config.json");
    await cache.has("absent.json");
    hub.requests.length = 0;
    expect(await inPython({ HF_HUB_OFFLINE: "1" })).toEqual(expected);
    expect(hub.requests).toEqual([]);
  });

  it("leaves what is found here, without a request", async () => {
    expect(await inPython({})).toEqual(expected);
    const own = Object.entries(await listing(folder)).filter(
      ([path]) => !/^(CACHEDIR\.TAG$|\.locks)/.test(path),
    );
    expect(Object.fromEntries(own)).toEqual(expectedListing(files, hub.commit, ["absent.json"]));
    hub.requests.length = 0;
    await fetchAll({ isOffline: true });
    await fetchAll({ revision: hub.commit });
    expect(hub.requests).toEqual([]);
  });
});

describe("a folder that takes nothing", () => {
  it.skipIf(!existsSync("/dev/full"))("a full disk: an error, no rest, and the next call works", async () => {
    await mkdir(dirname(blob()), { recursive: true });
    await symlink("/dev/full", blob(".incomplete"));
    await expect(fetchAll()).rejects.toEqual(florenceError("cache_unwritable", "ENOSPC", folder, "HF_HOME"));
    expect(existsSync(blob(".incomplete"))).toBe(false);
    await fetchAll();
    expect(await faultsIn(folder)).toEqual([]);
  });

  it("a file in the place of the folder", async () => {
    const place = join(folder, "file");
    await writeFile(place, "");
    await expect(cacheIn(place, hub).open("config.json")).rejects.toEqual(
      florenceError("cache_unwritable", place, "HF_HOME"),
    );
  });

  it.skipIf(process.platform === "win32")("a read-only cache serves what it has", async () => {
    await fetchAll();
    const folders = [
      folder,
      inRepository(),
      ...["blobs", "refs", "snapshots"].map((name) => inRepository(name)),
    ];
    for (const path of folders) await chmod(path, 0o555);
    // Root may write anywhere, so another user has to try.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65534);
    try {
      await fetchAll();
      hub.push({ ...files, "config.json": text("{}") });
      await expect(fetchAll()).rejects.toEqual(florenceError("cache_unwritable", "EACCES"));
    } finally {
      if (isRoot) process.seteuid?.(0);
      for (const path of folders) await chmod(path, 0o755);
    }
  });
});
