import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isRelativeName, openFile, openFiles } from "../../files/files.ts";
import { florenceError } from "../support/errors.ts";

const DATA = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "files-test-"));
  mkdirSync(join(folder, "inner"));
  writeFileSync(join(folder, "data.bin"), DATA);
  writeFileSync(join(folder, "inner", "a b%.json"), '\ufeff{"constructor":1}');
  symlinkSync("data.bin", join(folder, "link.bin"));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("files of a folder", () => {
  it("are found by path and by URL, below folders and through links", async () => {
    for (const source of [folder, `${folder}/`, pathToFileURL(folder), String(pathToFileURL(folder))]) {
      const files = openFiles(source);
      expect(await files.has("data.bin")).toBe(true);
      expect(await files.has("other.bin")).toBe(false);
      expect(await files.text("inner/a b%.json")).toBe('{"constructor":1}');
      expect(await files.json("inner/a b%.json")).toEqual({ constructor: 1 });
      const file = await files.open("link.bin");
      expect(file.size).toBe(1000);
      expect(await file.read(250, 253)).toEqual(Uint8Array.of(250, 0, 1));
      expect(await file.read(0, 1000)).toEqual(DATA);
      await file.close();
    }
  });

  it("are read into memory of the caller, which threads may share, from a path or from content", async () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const opened = [openFile(join(folder, "data.bin")), openFile(DATA), openFile(new Blob([DATA]))];
    for (const [i, file] of (await Promise.all(opened)).entries()) {
      const into = new Uint8Array(memory.buffer, 8 + 400 * i, 300);
      expect(await file.read(500, 800, into)).toBe(into);
      expect([...into]).toEqual([...DATA.subarray(500, 800)]);
      await file.close();
    }
    expect([...new Uint8Array(memory.buffer, 308, 100)]).toEqual(new Array(100).fill(0));
  });

  it("are missing, or no files at all", async () => {
    const files = openFiles(folder);
    await expect(files.open("other.bin")).rejects.toEqual(florenceError("file_not_found", "other.bin"));
    await expect(files.open("data.bin/x")).rejects.toEqual(florenceError("file_not_found", "data.bin/x"));
    await expect(files.open("inner")).rejects.toEqual(florenceError("file_unreadable", "not a regular file"));
    await expect(openFile("/dev/zero")).rejects.toEqual(florenceError("file_unreadable", "/dev/zero"));
    await expect(openFile("a\0b")).rejects.toEqual(florenceError("file_unreadable"));
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    await expect(openFile(pipe)).rejects.toEqual(florenceError("file_unreadable", "not a regular file"));
  });

  it("are refused outside of the folder, under every spelling", async () => {
    const bad = [
      "../x",
      "a/../../x",
      "/etc/passwd",
      "..",
      ".",
      "",
      "a//b",
      "a/./b",
      "..\\x",
      "C:\\x",
      "C:x",
      "a\0",
      "a/",
    ];
    for (const name of bad) {
      expect(isRelativeName(name), name).toBe(false);
      for (const source of [folder, pathToFileURL(folder), { [name]: DATA }]) {
        await expect(openFiles(source).open(name)).rejects.toEqual(
          florenceError("file_unreadable", "inside"),
        );
      }
    }
    expect(isRelativeName("model-00001-of-00002.safetensors")).toBe(true);
    await expect(openFiles(folder).has("%2e%2e/x")).resolves.toBe(false);
    await expect(openFiles(pathToFileURL(folder)).has("%2e%2e/data.bin")).resolves.toBe(false);
  });

  it("are found out when they shrink or change while they are read", async () => {
    const path = join(folder, "changing.bin");
    writeFileSync(path, DATA);
    utimesSync(path, 1, 1);
    const file = await openFile(path);
    expect(await file.read(0, 10)).toHaveLength(10);
    truncateSync(path, 500);
    utimesSync(path, 1, 1);
    const error = florenceError("file_unreadable", "1000 bytes before, 500 now");
    await expect(file.read(0, 10)).rejects.toEqual(error);
    await file.close();
    writeFileSync(path, DATA);
    const same = await openFile(path);
    utimesSync(path, 2, 2);
    await expect(same.read(0, 10)).rejects.toEqual(florenceError("file_unreadable", "changed"));
    await same.close();
  });
});

describe("files in memory", () => {
  it("are Blobs, arrays and buffers, in a Map or an object", async () => {
    const contents = { blob: new Blob([DATA]), array: DATA.subarray(0), buffer: DATA.slice().buffer };
    for (const source of [contents, new Map(Object.entries(contents))]) {
      const files = openFiles(source);
      for (const name of Object.keys(contents)) {
        const file = await files.open(name);
        expect(file.size, name).toBe(1000);
        expect(await file.read(990, 1000), name).toEqual(DATA.slice(990));
      }
      expect(await files.has("constructor")).toBe(false);
      await expect(files.text("toString")).rejects.toEqual(florenceError("file_not_found", "toString"));
    }
  });

  it("may be of another realm, as in a test runner or an iframe", async () => {
    const [array, buffer] = runInNewContext("[Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 3).buffer]");
    for (const content of [array, buffer]) {
      expect(await (await openFile(content)).read(1, 3)).toEqual(Uint8Array.of(2, 3));
      const map = runInNewContext("(content) => new Map([['x', content]])")(content);
      expect(await openFiles(map).has("x")).toBe(true);
    }
  });

  it("are found out when they are transferred away or are of another type", async () => {
    const bytes = DATA.slice();
    const file = await openFile(bytes);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    await expect(file.read(0, 10)).rejects.toEqual(
      florenceError("file_unreadable", "0 bytes at 0 instead of 10"),
    );
    await expect(openFile(bytes.buffer)).rejects.toEqual(florenceError("file_unreadable", "transferred"));
    const wrong = { "config.json": "{}" as unknown as Blob };
    await expect(openFiles(wrong).open("config.json")).rejects.toEqual(
      florenceError("file_unreadable", "neither"),
    );
    const short = Object.assign(new Blob([DATA]), { slice: () => new Blob([]) });
    await expect((await openFile(short)).read(0, 10)).rejects.toEqual(
      florenceError("file_unreadable", "ended"),
    );
  });

  it("are no text, or no JSON", async () => {
    const files = openFiles({
      binary: Uint8Array.of(0xff),
      half: new Blob(['{"a":\n  1,,}']),
      page: new Blob(["<!DOCTYPE html>"]),
      empty: new Blob([]),
    });
    await expect(files.text("binary")).rejects.toEqual(florenceError("file_unreadable", "not UTF-8"));
    await expect(files.json("half")).rejects.toEqual(
      florenceError("config_invalid", "half", "line 2, column 5"),
    );
    await expect(files.json("page", "tokenizer_invalid")).rejects.toEqual(
      florenceError("tokenizer_invalid", "<"),
    );
    await expect(files.json("empty")).rejects.toEqual(florenceError("config_invalid", "the end"));
    const huge = Object.defineProperty(new Blob([]), "size", { value: 2 ** 30 });
    await expect(openFiles({ huge }).text("huge")).rejects.toEqual(
      florenceError("file_unreadable", "1073741824"),
    );
  });

  it("cannot be read outside of their bounds", async () => {
    const file = await openFile(DATA);
    for (const [start, end] of [
      [-1, 1],
      [5, 4],
      [0, 1001],
      [Number.NaN, 1],
    ] as const) {
      await expect(file.read(start, end)).rejects.toEqual(florenceError("file_unreadable", "1000 bytes"));
    }
  });
});

describe("reading", () => {
  it("stops at the abort signal with its reason", async () => {
    const stop = new AbortController();
    const inMemory = await openFile(DATA, { signal: stop.signal });
    const onDisk = await openFile(join(folder, "data.bin"), { signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(inMemory.read(0, 1)).rejects.toThrow("enough");
    await expect(onDisk.read(0, 1)).rejects.toThrow("enough");
    await expect(openFile(join(folder, "data.bin"), { signal: stop.signal })).rejects.toThrow("enough");
    await onDisk.close();
  });
});
