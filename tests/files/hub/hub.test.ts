import { execFileSync, spawn } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { chmod, mkdir, open, readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { hubEnvironment } from "../../../files/hub/environment.ts";
import { isRepositoryId } from "../../../files/hub/repository.ts";
import { type DownloadEvent, openModelFiles } from "../../../files/open_model_files.ts";
import { mix } from "../../../measure/generated/random.ts";
import { florenceError } from "../../support/errors.ts";
import {
  cacheIn,
  contentOf,
  expectedListing,
  faultsIn,
  HURRY,
  listing,
  newFolder,
} from "../../support/hub_cache.ts";
import {
  cut,
  faultAt,
  type HubServer,
  REPOSITORY,
  sha256Of,
  startHub,
  status,
} from "../../support/hub_server.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const deno = `${root}node_modules/.bin/deno`;
const text = (content: string) => new TextEncoder().encode(content);
const bytes = (length: number, seed = 0) => Uint8Array.from({ length }, (_, i) => mix(i + seed));

const files = {
  "config.json": text('{"model_type": "florence2"}'),
  "tokenizer/merges.txt": text("#version: 0.2\n"),
  "model.safetensors": bytes(3_000_000),
};
const NAMES = Object.keys(files) as (keyof typeof files)[];
const weights = files["model.safetensors"];

let hub: HubServer;
let folder: string;
beforeAll(async () => {
  hub = await startHub(files);
});
beforeEach(async () => {
  folder = await newFolder();
  hub.push(files);
  [hub.faults, hub.access, hub.requests.length] = [[], undefined, 0];
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});
afterAll(() => hub.close());

const inRepository = (...parts: string[]) => join(folder, "models--florence--tiny", ...parts);
const blob = inRepositoryOf(weights);
function inRepositoryOf(content: Uint8Array) {
  return (ending = "") => inRepository("blobs", sha256Of(content) + ending);
}
async function fetchAll(options: Parameters<typeof cacheIn>[2] = {}): Promise<void> {
  const cache = cacheIn(folder, hub, options);
  for (const name of NAMES) expect(sha256Of(await contentOf(cache, name)), name).toBe(sha256Of(files[name]));
}
const asked = (method: string) => hub.requests.filter((request) => request.method === method);
const ranges = () => asked("GET").flatMap(({ headers, host }) => (host === "cdn" ? [headers.range] : []));

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

describe("what earlier downloads left", () => {
  const part = async (content: Uint8Array) => {
    await mkdir(dirname(blob()), { recursive: true });
    await writeFile(blob(".incomplete"), content);
  };

  it.each([
    ["half of the file is completed", weights.subarray(0, 1_500_000), ["bytes=1500000-"]],
    ["the whole file is only checked", weights, []],
    ["a half that is wrong is fetched anew", bytes(1_500_000, 1), ["bytes=1500000-", undefined]],
    ["something longer is fetched anew", bytes(4_000_000), [undefined]],
  ] as const)("%s", async (_, content, expected) => {
    await part(content);
    await fetchAll();
    expect(ranges()).toEqual(expected);
    expect(await listing(folder)).toEqual(expectedListing(files, hub.commit));
  });

  it("a download goes on after each break, however often, if each connection brings a megabyte", async () => {
    const large = bytes(6_000_000);
    hub.push({ ...files, "model.safetensors": large });
    const share = ({ length }: Uint8Array) => Math.min(1, 1_200_000 / length);
    hub.faults = [faultAt("cdn weights", Infinity, (...all) => cut(share(all[1].body))(...all))];
    expect(sha256Of(await contentOf(cacheIn(folder, hub), "model.safetensors"))).toBe(sha256Of(large));
    expect(ranges().length).toBeGreaterThan(HURRY.attempts);
    const starts = ranges().map((range) => Number(range?.slice("bytes=".length, -1) ?? 0));
    expect(starts).toEqual([...new Set(starts)].sort((x, y) => x - y));
  });

  it.each([
    ["an empty file", () => writeFile(blob(), "")],
    ["a file cut off", () => truncate(blob(), 1000)],
    ["a link to nothing", () => rm(blob())],
    ["a commit that is none", () => writeFile(inRepository("refs", "main"), "../../..\n")],
    ["an empty reference", () => writeFile(inRepository("refs", "main"), "")],
  ])("%s is mended", async (_, damage) => {
    await fetchAll();
    await damage();
    await fetchAll();
    expect(await listing(folder)).toEqual(expectedListing(files, hub.commit));
    expect(await faultsIn(folder)).toEqual([]);
  });

  it("a folder in the place of a file is named", async () => {
    await mkdir(join(blob(), "x"), { recursive: true });
    await expect(fetchAll()).rejects.toEqual(florenceError("cache_unwritable", folder));
  });

  describe("with a lock", () => {
    const lockedBy = async (owner: object) => {
      const lock = join(folder, ".locks/models--florence--tiny", `${sha256Of(weights)}.owner`);
      await mkdir(dirname(lock), { recursive: true });
      await writeFile(lock, JSON.stringify(owner));
      await part(weights.subarray(0, 1_500_000));
    };

    it("of a dead process: completed", async () => {
      const dead = spawn(process.execPath, ["-e", ""]);
      await new Promise((resolve) => dead.on("close", resolve));
      await lockedBy({ pid: dead.pid, host: hostname() });
      await fetchAll();
      expect(ranges()).toEqual(["bytes=1500000-"]);
      expect(await listing(folder)).toEqual(expectedListing(files, hub.commit));
    });

    it("of a process that only sleeps: left to it, and fetched anew", async () => {
      await lockedBy({ pid: 1, host: "elsewhere" });
      const handle = await open(blob(".incomplete"), "r+");
      await fetchAll();
      await handle.truncate(0);
      await handle.close();
      expect(ranges()).toEqual([undefined]);
      expect(await faultsIn(folder)).toEqual([]);
      expect(await listing(folder)).toEqual(expectedListing(files, hub.commit));
    });
  });

  it("what another process took over is not put in place", async () => {
    const replaced = (event: DownloadEvent) => {
      if (
        event.status === "progress" &&
        event.file === "model.safetensors" &&
        event.loaded === weights.length
      ) {
        rmSync(blob(".incomplete"));
        writeFileSync(blob(".incomplete"), "of another process");
      }
    };
    await expect(fetchAll({ onProgress: replaced })).rejects.toEqual(
      florenceError("download_failed", "took the download over"),
    );
    expect(existsSync(blob())).toBe(false);
    await fetchAll();
    expect(await faultsIn(folder)).toEqual([]);
  });
});

describe("several at once", () => {
  it("download a file once", async () => {
    await Promise.all([fetchAll(), fetchAll(), fetchAll()]);
    expect(ranges()).toEqual([undefined]);
    expect(await listing(folder)).toEqual(expectedListing(files, hub.commit));
  });

  it("of which the first fails: the second goes on from there", async () => {
    hub.faults = [faultAt("cdn weights", 1, cut(0.5)), faultAt("get weights", 1, () => undefined)];
    const controller = new AbortController();
    const first = fetchAll({
      signal: controller.signal,
      onProgress: (event) => {
        if (event.status === "progress" && event.loaded > 1_000_000) controller.abort(new Error("enough"));
      },
    });
    const second = fetchAll();
    await expect(first).rejects.toThrow("enough");
    await second;
    expect(await listing(folder)).toEqual(expectedListing(files, hub.commit));
  });

  describe.skipIf(!existsSync(deno))("processes, of Deno and Node", () => {
    const fetching = () => {
      const child = spawn(deno, ["run", "-A", "tests/support/hub_fetch.ts", folder, hub.url, ...NAMES], {
        cwd: root,
      });
      const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
      return { child, ended };
    };
    /** Half of the weights, and then nothing more until the connection ends. */
    const half = faultAt("cdn weights", 1, async (_, { status: code, headers, body }, response) => {
      response.writeHead(code, { "content-length": body.length, ...headers });
      response.write(body.subarray(0, body.length / 2));
      return false;
    });

    it("share one download", async () => {
      const { ended } = fetching();
      await Promise.all([fetchAll(), ended]);
      expect(await ended).toBe(0);
      expect(ranges()).toEqual([undefined]);
      expect(await listing(folder)).toEqual(expectedListing(files, hub.commit));
    });

    it("of which one is killed half-way: nothing under a final name, and the next goes on", async () => {
      hub.faults = [half];
      const { child, ended } = fetching();
      await new Promise<void>((resolve) =>
        child.stdout.on("data", (data) => String(data).split("\n").includes("1500000") && resolve()),
      );
      execFileSync("kill", ["-9", String(child.pid)]);
      expect(await ended).not.toBe(0);
      expect(existsSync(blob())).toBe(false);
      await fetchAll();
      expect(ranges()).toEqual([undefined, "bytes=1500000-"]);
      expect(await listing(folder)).toEqual(expectedListing(files, hub.commit));
    });
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

describe("access", () => {
  const TOKEN = "hf_secret";
  const fetchWith = (token?: string) => contentOf(cacheIn(folder, hub, { token }), "config.json");

  it("goes by a token, which no other host gets to see", async () => {
    hub.access = { token: TOKEN, isGated: false };
    await fetchAll({ token: TOKEN });
    for (const { host, headers } of hub.requests) {
      expect(headers.authorization).toBe(host === "hub" ? `Bearer ${TOKEN}` : undefined);
    }
    expect(asked("GET").some(({ host }) => host === "cdn")).toBe(true);
  });

  it("is refused with what to do about it", async () => {
    hub.access = { token: TOKEN, isGated: false };
    await expect(fetchWith()).rejects.toEqual(
      florenceError("repository_not_found", "no folder", "HF_TOKEN", REPOSITORY),
    );
    await expect(fetchWith("hf_other")).rejects.toEqual(
      florenceError("repository_not_found", "token in use"),
    );
    hub.access = { token: TOKEN, isGated: true };
    await expect(fetchWith()).rejects.toEqual(
      florenceError("access_denied", "accept its terms", `${hub.url}/${REPOSITORY}`),
    );
    hub.faults = [status(401, { "x-error-message": "Invalid credentials in Authorization header" })];
    const error = await fetchWith("hf_other").catch((reason: Error) => reason);
    expect(error).toEqual(florenceError("access_denied", "settings/tokens", "HF_TOKEN"));
    expect(String(error)).not.toContain("hf_other");
    expect(() => cacheIn(folder, hub, { token: "two words" })).toThrow(
      florenceError("option_invalid", "token"),
    );
  });
});

describe("progress", () => {
  it("is told in the words of transformers.js", async () => {
    const events: DownloadEvent[] = [];
    const cache = cacheIn(folder, hub, { onProgress: (event) => events.push(event) });
    await cache.has("model.safetensors");
    for (const name of NAMES) await contentOf(cache, name);
    for (const file of NAMES) {
      const own = events.filter((event) => "file" in event && event.file === file);
      expect([...new Set(own.map(({ status: word }) => word))]).toEqual([
        "initiate",
        "download",
        "progress",
        "done",
      ]);
      expect(own.at(-2)).toMatchObject({ progress: 100, loaded: files[file].length, name: REPOSITORY });
    }
    const totals = events.flatMap((event) => (event.status === "progress_total" ? [event] : []));
    const sum = NAMES.reduce((total, name) => total + files[name].length, 0);
    expect(totals[0]!.total).toBeGreaterThan(weights.length);
    expect(totals.at(-1)).toMatchObject({ loaded: sum, total: sum, progress: 100 });
    expect(totals.at(-1)!.files["model.safetensors"]).toEqual({
      loaded: weights.length,
      total: weights.length,
    });
    expect(totals.every(({ loaded }, i) => i === 0 || loaded >= totals[i - 1]!.loaded)).toBe(true);
  });

  it("that throws ends the download, which the next call takes up", async () => {
    const throwing = (event: DownloadEvent) => {
      if (event.status === "progress" && event.loaded > 1_000_000) throw new Error("a bug of the page");
    };
    await expect(fetchAll({ onProgress: throwing })).rejects.toThrow("a bug of the page");
    hub.requests.length = 0;
    await fetchAll();
    expect(ranges()).toEqual([expect.stringMatching(/^bytes=[1-9]\d{6}-$/)]);
  });

  it("can be aborted, before and between retries", async () => {
    await expect(fetchAll({ signal: AbortSignal.abort(new Error("never mind")) })).rejects.toThrow(
      "never mind",
    );
    expect(hub.requests).toEqual([]);
    hub.faults = [status(429, { "retry-after": "100" })];
    const controller = new AbortController();
    const waiting = fetchAll({ signal: controller.signal });
    setTimeout(() => controller.abort(new Error("never mind")), 200);
    await expect(waiting).rejects.toThrow("never mind");
    expect(hub.requests).toHaveLength(1);
  });
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

describe("a source", () => {
  it.each([
    ["microsoft/Florence-2-base", true],
    ["a/b", true],
    ["florence-community/Florence-2-large-ft", true],
    ["models", false],
    ["a/b/c", false],
    ["./a/b", false],
    ["../b", false],
    ["/a/b", false],
    ["a\\b", false],
    ["a/..", false],
    ["a--b/c", false],
    ["a/b.git", false],
    ["a/b-", false],
    [`a/${"b".repeat(97)}`, false],
    ["a/b c", false],
  ])("%j: the id of a repository? %j", (source, expected) => {
    expect(isRepositoryId(source)).toBe(expected);
  });

  it("that is neither a folder nor an id is refused in so many words", async () => {
    await expect(openModelFiles("./models/florence", [])).rejects.toEqual(
      florenceError(
        "file_not_found",
        "./models/florence",
        "neither a folder here nor the id of a repository",
      ),
    );
    vi.stubEnv("HF_ENDPOINT", hub.url);
    vi.stubEnv("HF_HOME", folder);
    await expect(openModelFiles("models/florence", [["config.json"]])).rejects.toEqual(
      florenceError("repository_not_found", "no folder models/florence here", hub.url),
    );
  });

  it("that is a folder is one, even if it looks like an id", async () => {
    vi.stubEnv("HF_ENDPOINT", hub.url);
    const read = await openModelFiles("checkpoints/nano", []);
    expect(await read.has("config.json")).toBe(true);
    expect(hub.requests).toEqual([]);
  });
});
