import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSafetensors } from "../../../files/tensors/safetensors.ts";
import { collectGarbage } from "../../support/garbage.ts";
import { withHeader } from "../../support/safetensors_bytes.ts";

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const PIECE = 64 * MIB;

/**
 * A sparse file of 5 GiB, which takes no room on the disk: tensor k begins at k GiB and is a GiB long, its
 * first and last byte are k + 1; "tail" follows them.
 */
describe("a file larger than 4 GiB (B22)", () => {
  let folder: string;
  let path: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "sparse-test-"));
    path = join(folder, "model.safetensors");
    const tensors = [0, 1, 2, 3, 4].map((k) => [`t${k}`, k * GIB, (k + 1) * GIB] as const);
    const entries = [...tensors, ["tail", 5 * GIB, 5 * GIB + PIECE] as const].map(
      ([name, begin, end]) =>
        `"${name}":{"dtype":"U8","shape":[${end - begin}],"data_offsets":[${begin},${end}]}`,
    );
    const head = withHeader(`{${entries.join()}}`);
    const file = openSync(path, "w");
    writeSync(file, head, 0, head.length, 0);
    ftruncateSync(file, head.length + 5 * GIB + PIECE);
    for (const [name, begin, end] of tensors) {
      const mark = Uint8Array.of(Number(name.slice(1)) + 1);
      writeSync(file, mark, 0, 1, head.length + begin);
      writeSync(file, mark, 0, 1, head.length + end - 1);
    }
    closeSync(file);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("is read at offsets above 2^31 and 2^32", async () => {
    const file = await openSafetensors(path);
    for (const k of [0, 1, 2, 3, 4]) {
      expect(await file.read(`t${k}`, { end: 2 })).toEqual(Uint8Array.of(k + 1, 0));
      expect(await file.read(`t${k}`, { start: GIB - 2 })).toEqual(Uint8Array.of(0, k + 1));
    }
    await file.close();
  });

  it("costs the memory of what is read, and nothing else", async () => {
    const before = process.resourceUsage().maxRSS;
    const file = await openSafetensors(path);
    for (let round = 0; round < 4; round++) {
      expect(await file.read("tail")).toHaveLength(PIECE);
      collectGarbage();
      expect(await file.read("t4", { start: GIB - PIECE })).toHaveLength(PIECE);
      collectGarbage();
    }
    await file.close();
    // maxRSS is in KiB. Some of the pieces may wait until their memory is given back.
    const grown = process.resourceUsage().maxRSS - before;
    expect(grown * 1024).toBeLessThan(6 * PIECE);
  });

  it("may not have a header above the limit, even if the file is large enough (B3)", async () => {
    const large = join(folder, "header.safetensors");
    const file = openSync(large, "w");
    writeSync(file, withHeader("{}", 0, 100_000_001n));
    ftruncateSync(file, 200_000_000);
    closeSync(file);
    const before = process.memoryUsage().arrayBuffers;
    await expect(openSafetensors(large)).rejects.toThrow("100000001 bytes, more than the 100000000 allowed");
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MIB);
  });

  it("costs nothing when it is refused", async () => {
    const before = process.memoryUsage().arrayBuffers;
    const claims = withHeader(
      `{"a":{"dtype":"U8","shape":[${100 * GIB}],"data_offsets":[0,${100 * GIB}]}}`,
      8,
    );
    await expect(openSafetensors(claims)).rejects.toThrow("is the file complete");
    await expect(openSafetensors(withHeader("{}", 0, 99_999_999n))).rejects.toThrow("is the file complete");
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MIB);
  });
});
