import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openFile, openFiles, type RangedFile } from "../../../files/files.ts";
import { openSafetensors } from "../../../files/tensors/safetensors.ts";
import { openWeightFile } from "../../../files/tensors/shards.ts";
import { mix } from "../../../measure/generated/random.ts";
import { florenceError } from "../../support/errors.ts";
import {
  bytesOf,
  everything,
  fixtures,
  open,
  rejects,
  square,
  withTensor,
} from "../../support/open_pytorch.ts";
import {
  type PickledTensor,
  pickleBytes,
  pickledInteger,
  pickledTensor,
  pickledText,
  pytorchBytes,
} from "../../support/pytorch_bytes.ts";

describe("a state_dict by torch.save", () => {
  it("gives the tensors that safetensors gives: every dtype, shared storages, views", async () => {
    const expected = await everything(await openSafetensors(new URL("state.safetensors", fixtures)));
    const found = await everything(await open(bytesOf("state.bin")));
    expect(found.size).toBe(28);
    for (const [name, tensor] of expected) expect(found.get(name), name).toEqual(tensor);
    expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
  });

  it("gives ranges, of contiguous tensors and of others", async () => {
    const file = await open(bytesOf("state.bin"));
    for (const name of ["table", "turned", "channels last", "dtype.bool"]) {
      const whole = await file.read(name);
      for (const [start, end] of [
        [0, 4],
        [3, 11],
        [5, 5],
        [whole.length - 2, whole.length],
      ] as const) {
        if (end > whole.length) continue;
        expect(await file.read(name, { start, end }), name).toEqual(whole.slice(start, end));
      }
    }
    await expect(file.read("none")).rejects.toEqual(florenceError("checkpoint_mismatch", '"none"'));
    await expect(file.read("table", { end: 97 })).rejects.toEqual(florenceError("checkpoint_mismatch", "96"));
    await file.close();
    await expect(file.read("table")).rejects.toEqual(florenceError("disposed", "w.bin"));
  });

  it("is opened by reading its end and its pickle, and nothing of its tensors", async () => {
    const source = await openFile(bytesOf("state.bin"));
    const reads: [number, number][] = [];
    const watched: RangedFile = {
      ...source,
      read: (start, end) => {
        reads.push([start, end]);
        return source.read(start, end);
      },
    };
    const file = await openWeightFile({ ...openFiles({}), open: async () => watched }, ["w.bin"]);
    // The tail, which is all of so small a file; the ZIP64 end; the directory; header and content of byteorder and data.pkl.
    expect(reads).toHaveLength(7);
    await file.read("rows 2 to 4");
    await file.read("rows 2 to 4", { start: 16 });
    await file.read("table", { start: 8, end: 16 });
    const [header, ...data] = reads.slice(7);
    expect(header![1] - header![0]).toBe(30);
    expect(data.map(([start, end]) => end - start)).toEqual([32, 16, 8]);
  });

  it("may be sharded", async () => {
    const names = ["pytorch_model.bin", "pytorch_model.bin.index.json"];
    const found = await everything(await openWeightFile(openFiles(new URL("sharded", fixtures)), names));
    const expected = await everything(await openSafetensors(new URL("state.safetensors", fixtures)));
    expect(found.size).toBe(10);
    for (const [name, tensor] of found) expect(tensor, name).toEqual(expected.get(name));
  });

  it("may be larger than 4 GiB", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pytorch-test-"));
    const path = join(folder, "pytorch_model.bin");
    const base = 5 * 2 ** 30;
    const bytes = withTensor(square, { zip64: true, base });
    const file = openSync(path, "w");
    ftruncateSync(file, base);
    writeSync(file, bytes, 0, bytes.length, base);
    closeSync(file);
    const opened = await openWeightFile(openFiles(folder), ["pytorch_model.bin"]);
    expect(await opened.read("a", { end: 4 })).toEqual(Uint8Array.of(0, 1, 2, 3));
    await opened.close();
    rmSync(folder, { recursive: true });
  });
});

describe("what else torch.save writes", () => {
  it.each([
    ["module.bin", '"torch.nn.modules.linear Linear"', "save it as safetensors"],
    ["nested.bin", '"state_dict"', "a flat dictionary"],
    ["legacy.bin", "a Python pickle", "before version 1.6"],
    ["protocol4.bin", "protocol 4"],
    ["sparse.bin", '"torch._utils _rebuild_sparse_tensor"'],
  ])("is refused: %s", async (name, ...patterns) => {
    await rejects(bytesOf(name), ...patterns);
  });
});

describe("a tensor", () => {
  it("may be a view", async () => {
    const file = await open(withTensor({ offset: 1, shape: [2, 1], strides: [2, 7] }));
    expect(await file.read("a")).toEqual(Uint8Array.of(4, 5, 6, 7, 12, 13, 14, 15));
  });

  it.each<[string, PickledTensor, string]>([
    ["reaches beyond its storage", { ...square, offset: 1 }, "reaches to element 5"],
    ["reaches beyond it by strides", { shape: [2, 2], strides: [3, 1] }, "reaches to element 5"],
    ["is larger than its storage", { shape: [2 ** 40], strides: [0] }, `of ${2 ** 42} bytes`],
    ["has more elements than a double counts", { shape: [2 ** 50, 2 ** 50], strides: [0, 0] }, "bytes"],
    ["has no element far away", { shape: [0], strides: [1], offset: 5 }, "reaches to element 5"],
    ["has fewer strides than axes", { shape: [2, 2], strides: [1] }, "no integers"],
    ["runs backwards", { shape: [2], strides: [-1], offset: 1 }, "no integers"],
    ["has 17 axes", { shape: new Array(17).fill(1), strides: new Array(17).fill(1) }, "no integers"],
    ["has a storage of another size", { ...square, elements: 3 }, "16 bytes, but says it has 3 elements"],
    ["has a storage of another dtype", { ...square, storage: "HalfStorage" }, "4 elements in F16"],
    ["has a storage that is not there", { ...square, key: "1" }, 'storage that is not there: "storage" "1"'],
    ["has a storage elsewhere", { ...square, key: "../data.pkl" }, "not there"],
    ["has a storage that PyTorch lacks", { ...square, storage: "Storage" }, '"torch Storage"'],
  ])("%s", async (_, tensor, pattern) => {
    await rejects(withTensor(tensor), pattern);
  });

  it("keeps its shape when the pickle changes the list that it was given as", async () => {
    const tensor = pickledTensor({ shape: [], strides: [] });
    tensor.splice(tensor.indexOf("("), 3, "]q\x01");
    const grow = ["h\x01", pickledInteger(1000), "a", "b"];
    const file = await open(pytorchBytes(pickleBytes("}", pickledText("a"), ...tensor, "s", ...grow)));
    expect(file.tensors.get("a")).toMatchObject({ shape: [], bytes: 4 });
  });

  it("may share its storage, but not under two dtypes", async () => {
    const two = (storage: string) =>
      pytorchBytes(
        pickleBytes(
          ...["}", pickledText("a"), ...pickledTensor(square), "s"],
          ...[pickledText("b"), ...pickledTensor({ ...square, storage, shape: [4], strides: [1] }), "s"],
        ),
      );
    expect((await open(two("FloatStorage"))).tensors.size).toBe(2);
    await rejects(two("IntStorage"), "two dtypes");
  });
});

describe("any bytes", () => {
  it("give tensors or an error of this library, and nothing else", async () => {
    let counter = 0;
    const random = (limit: number) => mix(counter++) % limit;
    const seeds = [bytesOf("state.bin"), withTensor(square), withTensor(square, { zip64: true })];
    const outcomes = { accepted: 0, rejected: 0 };
    for (let round = 0; round < 10_000; round++) {
      let bytes = seeds[random(seeds.length)]!.slice();
      for (let change = 0; change <= random(3); change++) {
        const at = random(bytes.length);
        const kind = random(16);
        if (kind === 0) bytes = bytes.slice(at);
        else if (kind === 1) bytes = bytes.slice(0, at + 1);
        else bytes[at] = kind < 8 ? random(256) : bytes[random(bytes.length)]!;
      }
      try {
        await everything(await open(bytes));
        outcomes.accepted++;
      } catch (error) {
        expect(error).toEqual(florenceError("pytorch_invalid"));
        outcomes.rejected++;
      }
    }
    expect(outcomes.accepted).toBeGreaterThan(100);
    expect(outcomes.rejected).toBeGreaterThan(1000);
  });
});
