import { describe, expect, it } from "vitest";
import { open, rejects, square, withTensor } from "../../support/open_pytorch.ts";
import { pickleBytes, zipBytes } from "../../support/pytorch_bytes.ts";

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
