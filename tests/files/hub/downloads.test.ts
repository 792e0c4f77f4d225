import { execFileSync, spawn } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, open, rm, truncate, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { DownloadEvent } from "../../../files/open_model_files.ts";
import { florenceError } from "../../support/errors.ts";
import {
  cacheIn,
  contentOf,
  expectedListing,
  faultsIn,
  HURRY,
  IMPATIENT,
  listing,
} from "../../support/hub_cache.ts";
import { cut, faultAt, REPOSITORY, sha256Of, status } from "../../support/hub_server.ts";
import {
  blob,
  bytes,
  fetchAll,
  files,
  folder,
  hub,
  inRepository,
  NAMES,
  ranges,
  weights,
} from "../../support/tiny_hub.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const deno = `${root}node_modules/.bin/deno`;

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
      await fetchAll({ persistence: IMPATIENT });
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
    const controller = new AbortController();
    const busy = status(429, { "retry-after": "100" });
    hub.faults = [
      (request, planned, response) => {
        response.once("finish", () => setTimeout(() => controller.abort(new Error("never mind")), 200));
        return busy(request, planned, response);
      },
    ];
    const waiting = fetchAll({ signal: controller.signal });
    await expect(waiting).rejects.toThrow("never mind");
    expect(hub.requests).toHaveLength(1);
  });
});
