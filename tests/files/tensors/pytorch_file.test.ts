import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openFile, openFiles, type RangedFile } from "../../../files/files.ts";
import { readPickle } from "../../../files/tensors/pickle.ts";
import { openSafetensors } from "../../../files/tensors/safetensors.ts";
import { openWeightFile } from "../../../files/tensors/shards.ts";
import type { TensorFile } from "../../../files/tensors/tensor_file.ts";
import { mix } from "../../../measure/generated/random.ts";
import { florenceError } from "../../support/errors.ts";
import {
  type PickledTensor,
  pickleBytes,
  pickledInteger,
  pickledTensor,
  pickledText,
  pytorchBytes,
  type ZipOptions,
  zipBytes,
} from "../../support/pytorch_bytes.ts";

const fixtures = new URL("../../fixtures/pytorch/", import.meta.url);
const bytesOf = (name: string) => new Uint8Array(readFileSync(new URL(name, fixtures)));
const open = (bytes: Uint8Array) => openWeightFile(openFiles({ "w.bin": bytes }), ["w.bin"]);

async function everything(file: TensorFile): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  for (const [name, { dtype, shape, bytes }] of file.tensors) {
    found.set(name, { dtype, shape, bytes, data: await file.read(name) });
  }
  await file.close();
  return found;
}

async function rejects(bytes: Uint8Array, ...patterns: readonly (string | RegExp)[]): Promise<void> {
  const read = async () => everything(await open(bytes));
  await expect(read()).rejects.toEqual(florenceError("pytorch_invalid", "w.bin", ...patterns));
}

/** A file whose dictionary holds one tensor, "a". */
function withTensor(tensor: PickledTensor, options?: ZipOptions): Uint8Array {
  return pytorchBytes(pickleBytes("}", pickledText("a"), ...pickledTensor(tensor), "s"), options);
}

const square: PickledTensor = { shape: [2, 2], strides: [2, 1] };

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

describe("a pickle", () => {
  const refused = (pickle: Uint8Array, ...patterns: (string | RegExp)[]) =>
    rejects(pytorchBytes(pickle), ...patterns);

  it("names code to run", async () => {
    for (const global of [
      "os system",
      "builtins eval",
      "torch.hub load",
      "collections Counter",
      "torch Tensor",
    ]) {
      const [module, name] = global.split(" ");
      await refused(pickleBytes(`c${module}\n${name}\n`, pickledText("echo"), "\x85R"), `names "${global}"`);
    }
    await refused(pickleBytes("c__proto__\nconstructor\n"), 'names "__proto__ constructor"');
  });

  it.each([
    ["i", "INST", "(ios\nsystem\n"],
    ["o", "OBJ", "(ctorch._utils\n_rebuild_tensor_v2\no"],
    ["\x81", "NEWOBJ", "ccollections\nOrderedDict\n)\x81"],
    ["\x82", "EXT1", "\x82\x01"],
    ["\x93", "STACK_GLOBAL", "\x93"],
    ["2", "DUP", "N2"],
    ["P", "PERSID", "P0\n"],
    ["\xff", "no opcode at all", "\xff"],
  ])("has the opcode %j (%s)", async (opcode, _, code) => {
    await refused(pickleBytes(code), `opcode 0x${opcode.charCodeAt(0).toString(16)}`);
  });

  it.each([
    ["ends early", Uint8Array.of(0x80, 2), "ends in the middle"],
    ["has a text that ends early", pickleBytes("X", [255, 255, 255, 127]), "ends in the middle"],
    ["has a name without an end", pickleBytes("ctorch"), "in the middle of a name"],
    ["takes from an empty stack", pickleBytes("R"), "is not there"],
    ["takes from below a mark", pickleBytes("N(\x85"), "is not there"],
    ["closes no mark", pickleBytes("t"), "a mark that is not there"],
    ["leaves a mark open", pickleBytes("N("), "instead of 1"],
    ["leaves two values", pickleBytes("NN"), "ends with 2 values"],
    ["goes on after its end", Uint8Array.of(...pickleBytes("N"), 78), "ends 1 bytes before"],
    ["asks for what it never kept", pickleBytes("h\x07"), "memo 7"],
    ["calls a text", pickleBytes(pickledText("f"), ")R"), "cannot be called"],
    ["calls without a list", pickleBytes("ccollections\nOrderedDict\nNR"), "cannot be called"],
    ["fills an OrderedDict with a list", pickleBytes("ccollections\nOrderedDict\n]\x85R"), "Python 2"],
    ["appends to None", pickleBytes("NNa"), "no list"],
    ["sets items of a list", pickleBytes("]NNs"), "no dictionary"],
    ["sets half of a pair", pickleBytes("}(Nu"), "no dictionary"],
    ["sets attributes of a list", pickleBytes("]Nb"), "no dictionary"],
    ["sets a key twice", pickleBytes("}(", pickledText("a"), "N", pickledText("a"), "Nu"), '"a" twice'],
    ["holds an integer of 9 bytes", pickleBytes("\x8a\x09"), "9 bytes"],
    ["holds an integer above 2^53", pickleBytes(pickledInteger(2 ** 60)), "2^53"],
    ["piles up values", pickleBytes("N".repeat(100_001)), "100000 values"],
    ["is no dictionary", pickleBytes("N"), "no dictionary of tensors"],
    ["holds a number", pickleBytes("}", pickledText("epoch"), "K\x03s"), '"epoch"'],
    ["has a key that is no text", pickleBytes("}K\x03Ns"), "which is no tensor"],
    ["nests without end", pickleBytes("}", "]".repeat(90_000), "a".repeat(89_999), "Ns"), "an object"],
    ["is a list that holds itself", pickleBytes("}]q\x01h\x01aNs"), "an object"],
  ])("%s", async (_, pickle, pattern) => {
    await refused(pickle, pattern);
  });

  it("reads numbers of every width", () => {
    const numbers = [
      "K\xff",
      "M\x00\x01",
      "J\xfe\xff\xff\xff",
      "\x8a\x00",
      "\x8a\x02\x00\xff",
      "G\xbf\xf8\0\0\0\0\0\0",
    ];
    const pickle = pickleBytes("(", ...numbers, pickledInteger(-(2 ** 40)), "t");
    const rules = { globals: new Map(), persistent: () => null };
    expect(readPickle(pickle, "w", rules)).toEqual([255, 256, -2, 0, -256, -1.5, -(2 ** 40)]);
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

describe("a zip archive", () => {
  const valid = withTensor(square);
  const patched = (name: string, offset: number, ...bytes: number[]) =>
    rejects.bind(undefined, withTensor(square, { patch: { [name]: [offset, bytes] } }));

  it("is valid before it is damaged, also with numbers of 8 bytes", async () => {
    for (const bytes of [valid, withTensor(square, { zip64: true })]) {
      expect(await (await open(bytes)).read("a")).toEqual(Uint8Array.from({ length: 16 }, (_, i) => i));
    }
  });

  it("is truncated, at every byte", async () => {
    for (let length = 0; length < valid.length; length++)
      await rejects(valid.slice(0, length), "zip archive");
  });

  it("is something else", async () => {
    await rejects(new TextEncoder().encode("<html>404</html>".padEnd(80)), "an HTML or XML page");
    await rejects(new TextEncoder().encode("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull");
    await rejects(new Uint8Array(1000), "no directory");
  });

  it("has something before or behind it", async () => {
    await rejects(Uint8Array.of(0, ...valid), "does not end at");
    await rejects(Uint8Array.of(...valid, 0), "no directory");
  });

  it("has a directory elsewhere, or a wrong number of entries", async () => {
    await rejects(withTensor(square, { directoryStart: 0 }), "does not end at");
    await rejects(withTensor(square, { directoryStart: 0xfffffff0 }), "does not end at");
    for (const zip64 of [false, true]) {
      await rejects(withTensor(square, { count: 3, zip64 }), "2 of 3 entries");
      await rejects(withTensor(square, { count: 1, zip64 }), "2 of 1 entries");
    }
    const far = withTensor(square, { zip64: true });
    far.set([255, 255, 255, 255, 255, 255, 255, 255], far.length - 34);
    await rejects(far, "no ZIP64 directory");
  });

  it("has a directory larger than any honest one", async () => {
    const size = 17 * 2 ** 20;
    const end = zipBytes([], { directoryStart: 0 });
    const bomb = new Uint8Array(size + end.length);
    bomb.set(end, size);
    new DataView(bomb.buffer).setUint32(size + 12, size, true);
    await rejects(bomb, `directory of ${size} bytes`);
  });

  it("has entries that are compressed, encrypted, elsewhere, too large or of another size", async () => {
    const data = "archive/data/0";
    await patched(data, 10, 8, 0)("compressed or encrypted (method 8");
    await patched(data, 8, 1, 0)("compressed or encrypted");
    await patched(data, 20, 15, 0, 0, 0)("compressed or encrypted");
    await patched(data, 42, 255, 255, 255, 0)("reaches beyond");
    await patched(data, 20, 255, 255, 255, 255, 255, 255, 255, 255)("does not say where");
    await patched(data, 20, 40, 0, 0, 0, 40, 0, 0, 0)("reaches beyond");
    await patched(data, 20, 12, 0, 0, 0, 12, 0, 0, 0)("12 bytes, but says it has 4 elements");
    await patched(data, 42, 0, 0, 0, 0)("reaches beyond");
    await patched(data, 42, 1, 0, 0, 0)("reaches beyond");
    await patched(data, 28, 255, 255)("1 of 2 entries");
    await patched(data, 0, 0)("1 of 2 entries");
  });

  it("has an entry whose own header is not where the directory says", async () => {
    const moved = withTensor(square);
    const at = Buffer.from(moved).indexOf("archive/data/0") - 30;
    moved[at] = 0;
    await rejects(moved, 'no valid header for "archive/data/0"');
    moved[at] = 0x50;
    moved[at + 28] = 255;
    await rejects(moved, 'no valid header for "archive/data/0"');
  });

  it("has an entry twice, no pickle, or two", async () => {
    const pickle = pickleBytes("}");
    const data: [string, Uint8Array] = ["archive/data/0", new Uint8Array(16)];
    await rejects(zipBytes([["a/data.pkl", pickle], data, data]), '"archive/data/0" twice');
    await rejects(zipBytes([data]), "0 files data.pkl");
    await rejects(
      zipBytes([
        ["a/data.pkl", pickle],
        ["b/data.pkl", pickle],
      ]),
      "2 files data.pkl",
    );
    expect((await open(zipBytes([["a/data.pkl", pickle]]))).tensors.size).toBe(0);
  });

  it("has another byte order, or a pickle larger than any honest one", async () => {
    const pickle = pickleBytes("}");
    const order = (text: string): [string, Uint8Array] => ["a/byteorder", new TextEncoder().encode(text)];
    expect((await open(zipBytes([["a/data.pkl", pickle], order("little")]))).tensors.size).toBe(0);
    await rejects(zipBytes([["a/data.pkl", pickle], order("big")]), 'byte order "big"');
    await rejects(zipBytes([["a/data.pkl", pickle], order("x".repeat(65))]), "65 bytes, more than the 64");
    await rejects(
      zipBytes([["a/data.pkl", new Uint8Array(2 ** 24 + 1)]]),
      `more than the ${2 ** 24} allowed`,
    );
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
