import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { open, rejects } from "../../support/open_safetensors.ts";
import { entry, text, withHeader } from "../../support/safetensors_bytes.ts";

const CASES = new URL("../../../../shared/data/malformed/safetensors-cases.json", import.meta.url);

describe("a malformed file", () => {
  it("is too short (B1)", async () => {
    await rejects(new Uint8Array(0), "0 bytes, fewer than the 8");
    await rejects(new Uint8Array(7), "7 bytes, fewer than the 8");
    await rejects(withHeader("", 0, 1n), "claims a header of 1 bytes, but only 0 bytes follow");
    await rejects(new Uint8Array(8), 'does not begin with "{"');
  });

  it("claims a header that does not fit (B2, B3)", async () => {
    const header = `{${entry("a", "[1]", "[0,4]")}}`;
    const length = BigInt(header.length);
    await rejects(withHeader(header, 4, 1000n), "claims a header of 1000 bytes");
    await rejects(withHeader(header, 4, length + 4n + 8n), "claims a header of");
    await rejects(withHeader(header, 4, length + 5n), "claims a header of");
    await rejects(withHeader(header, 4, length + 1n), "not valid JSON");
    await rejects(withHeader(header, 4, length - 1n), "not valid JSON");
    for (const claim of [100_000_001n, 2n ** 32n + length, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
      await rejects(withHeader(header, 4, claim), `${claim} bytes, more than the 100000000 allowed`);
    }
  });

  it("has a header that is not UTF-8 (B4)", async () => {
    const around = (name: number[]) => Uint8Array.from([...text('{"a'), ...name, ...text('":1}')]);
    await rejects(Uint8Array.from([1, 0, 0, 0, 0, 0, 0, 0, 255]), "begin");
    await rejects(withHeader(around([0xff])), "not UTF-8");
    await rejects(withHeader(around([0xc0, 0xaf])), "not UTF-8"); // overlong "/"
    await rejects(withHeader(around([0xed, 0xa0, 0x80])), "not UTF-8"); // encoded surrogate
    await rejects(withHeader(Uint8Array.from([0xef, 0xbb, 0xbf, ...text("{}")])), "begin"); // byte order mark
    await rejects(withHeader('{"\\ud800":1}'), "half of a surrogate pair");
    await rejects(withHeader('{"\\udc00\\ud800":1}'), "half of a surrogate pair");
  });

  it.each([
    "{",
    "[]",
    "null",
    "{} x",
    "{}{}",
    '{"a":1,}',
    "{,}",
    "{a:1}",
    "{'a':1}",
    '{"a" 1}',
    '{"a":01}',
    '{"a":1.}',
  ])("has a header that is no JSON object: %s (B5)", (header) => rejects(withHeader(header)));

  it.each([
    '{"a":+1}',
    '{"a":.5}',
    '{"a":NaN}',
    '{"a":1e999}',
    '{"a":"\t"}',
    '{"a":"\\x"}',
    '{"a":"\\u12g4"}',
    '{"a":tru}',
  ])("has a header with a bad value: %s (B5)", (header) => rejects(withHeader(header), "not valid JSON"));

  it("is padded with NUL, or with white space in front (B5, B6; the latter is a choice)", async () => {
    await rejects(withHeader("{}\0\0\0\0"), "\\u0000");
    await rejects(withHeader("\t\n{}\r "), 'does not begin with "{"');
  });

  it("names a key twice (B7)", async () => {
    const a = entry("a", "[1]", "[0,4]");
    await rejects(withHeader(`{${a},${a}}`, 4), '"a" occurs twice');
    await rejects(withHeader(`{${a},${entry("a", "[1]", "[4,8]")}}`, 8), '"a" occurs twice');
    await rejects(
      withHeader(`{${a},"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8),
      "twice",
    );
    await rejects(
      withHeader('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4),
      '"dtype"',
    );
    await rejects(withHeader('{"__metadata__":{},"__metadata__":{}}'), '"__metadata__" occurs twice');
    await rejects(withHeader('{"__metadata__":{"a":"b","a":"b"}}'), '"a" occurs twice');
    await rejects(withHeader('{"__proto__":1,"__proto__":1}'), '"__proto__" occurs twice');
  });

  it.each(['{"a":1}', '{"a":{}}', '{"a":["b"]}', '{"a":null}', "[]", '"a"', "null", "1"])(
    "has a __metadata__ that maps no strings to strings: %s (B9)",
    (metadata) => rejects(withHeader(`{"__metadata__":${metadata}}`), "__metadata__"),
  );

  it("is nested so deeply that a recursive reader would fall over (B9)", async () => {
    await rejects(withHeader(`{"__metadata__":${"[".repeat(5000)}${"]".repeat(5000)}}`), "deeper than 64");
    await rejects(withHeader('{"a":'.repeat(1_000_000)), "deeper than 64");
  });

  it("has tensors that overlap (B10)", async () => {
    const a = entry("a", "[2]", "[0,8]");
    await rejects(withHeader(`{${a},${entry("b", "[2]", "[0,8]")}}`, 8), '"b" overlaps tensor "a"', "8", "0");
    await rejects(withHeader(`{${a},${entry("b", "[2]", "[4,12]")}}`, 12), '"b" overlaps tensor "a"');
    await rejects(withHeader(`{${a},${entry("b", "[1]", "[4,8]")}}`, 8), '"b" overlaps tensor "a"');
  });

  it("has a million tensors in one place (B10)", async () => {
    const entries = Array.from(
      { length: 1_000_000 },
      (_, i) => `"${i}":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}`,
    );
    await rejects(withHeader(`{${entries.join()}}`, 1), "overlaps");
  });

  it("has bytes that belong to no tensor (B11)", async () => {
    await rejects(withHeader(`{${entry("a", "[1]", "[4,8]")}}`, 8), "gap after the header");
    await rejects(
      withHeader(`{${entry("a", "[1]", "[0,4]")},${entry("b", "[1]", "[8,12]")}}`, 12),
      '"b" leaves a gap after tensor "a"',
    );
    await rejects(withHeader(`{${entry("a", "[1]", "[0,4]")}}`, 38), "holds 34 bytes after its last tensor");
    await rejects(withHeader("{}", text("PK\x03\x04")), "holds 4 bytes after its last tensor");
  });

  it.each([
    "[4,0]",
    "[-4,0]",
    "[0,4.5]",
    '["0","4"]',
    "[0]",
    "[0,4,8]",
    "[]",
    "4",
    "null",
    '{"0":0,"1":4}',
    "[0,1e300]",
  ])("has offsets %s (B12)", (offsets) =>
    rejects(withHeader(`{${entry("a", "[1]", offsets)}}`, 4), '"a"', "data_offsets"),
  );

  it.each(["4.0", "4e0", "40e-1", "0.4e1", "4E0"])("has sizes written %s", async (four) => {
    await rejects(withHeader(`{${entry("a", `[${four}]`, "[0,16]")}}`, 16), '"a"', "no valid shape");
    await rejects(withHeader(`{${entry("a", "[1]", `[0,${four}]`)}}`, 4), '"a"', "data_offsets");
  });

  it.each(["0.0", "-0", "0e5", "-0.0"])("has offsets written %s", (zero) =>
    rejects(withHeader(`{${entry("a", "[1]", `[${zero},4]`)}}`, 4), '"a"', "data_offsets"),
  );

  it("has data that ends after the file (B12)", async () => {
    await rejects(
      withHeader(`{${entry("a", "[2]", "[0,8]")}}`, 6),
      "ends 2 bytes before its last tensor does",
    );
    await rejects(
      withHeader(`{${entry("a", "[1099511627776]", "[0,4398046511104]")}}`, 4),
      "is the file complete",
    );
  });

  it("has data of another size than shape and dtype say (B13)", async () => {
    await rejects(
      withHeader(`{${entry("a", "[2,2]", "[0,4]")}}`, 4),
      '"a"',
      "[2,2] in F32",
      "16 bytes",
      "found 4",
    );
    await rejects(withHeader(`{${entry("a", "[3]", "[0,2]", '"F4"')}}`, 2), '"a"', "whole number of bytes");
    await rejects(withHeader(`{${entry("a", "[]", "[0,0]")}}`), "4 bytes");
    await rejects(withHeader(`{${entry("a", "[1]", "[0,8]")}}`, 8), "4 bytes; found 8");
  });

  it.each([
    "[2,18446744073709551614]",
    "[2,9223372036854775807]",
    "[9007199254740993,0]",
    "[4294967296,4294967296,0]",
    "[9007199254740991]",
    "[-1,-1]",
    "[-1]",
    "[0.5,2]",
    "null",
    "4",
    '["1"]',
    "[null]",
    "[[1]]",
    `[${Array(17).fill(1)}]`,
    `[${Array(2000).fill(1)}]`,
  ])("has the shape %s (B14)", (shape) => rejects(withHeader(`{${entry("a", shape, "[0,4]")}}`, 4), '"a"'));

  it.each(["[4294967296,4294967296,0]", "[9007199254740991,2,0]", "[9007199254740993,0]"])(
    "has the shape %s, which is empty, but only after a rounded product (B14)",
    (shape) => rejects(withHeader(`{${entry("a", shape, "[0,0]")}}`), '"a"', "2^53"),
  );

  it.each(['"f32"', '"F33"', '""', '"__proto__"', '"toString"', "null", "4", '["F32"]'])(
    "has the dtype %s (B15)",
    (dtype) =>
      rejects(withHeader(`{${entry("a", "[1]", "[0,4]", dtype)}}`, 4), '"a" has an unknown dtype', dtype),
  );

  it("has tensors without a dtype, or that are no objects (B15)", async () => {
    await rejects(withHeader('{"a":{"shape":[1],"data_offsets":[0,4]}}', 4), '"a" has an unknown dtype');
    for (const value of ["null", "1", "[]", '"F32"'])
      await rejects(withHeader(`{"a":${value}}`), '"a" is no object');
  });

  it.each([
    ["a zip archive", "PK\x03\x04\x14\x00\x00\x08\x08\x00archive/data.pkl"],
    ["a Python pickle", "\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."],
    ["Git LFS", "version https://git-lfs.github.com/spec/v1\noid sha256:0307\nsize 463221266\n"],
    ["an HTML", "<!DOCTYPE html><html><head><title>404</title></head></html>"],
    ["an HTML", "\n<html><body>Sign in</body></html>"],
    ["gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"],
  ])("is something else: %s (B21)", (what, content) =>
    rejects(text(content), what, "not a safetensors file"),
  );

  it("is described without its content", async () => {
    const name = "x".repeat(10_000);
    const error = await open(withHeader(`{"${name}":null}`)).catch((error: Error) => error);
    expect((error as Error).message.length).toBeLessThan(400);
  });
});

describe.skipIf(!existsSync(CASES))("the collection of malformed and boundary files", () => {
  interface Case {
    readonly name: string;
    readonly base64: string;
    readonly expect: "accept" | "reject" | "either";
  }
  const cases: readonly Case[] = existsSync(CASES) ? JSON.parse(readFileSync(CASES, "utf8")).cases : [];
  const choices = new Map([
    ["leading whitespace", "reject"],
    ["unknown extra field in a tensor", "accept"],
  ]);

  it.each(cases)("$expect: $name", async ({ name, base64, expect: verdict }) => {
    const bytes = Uint8Array.from(Buffer.from(base64, "base64"));
    if ((choices.get(name) ?? verdict) === "accept") await open(bytes);
    else await rejects(bytes);
  });
});
