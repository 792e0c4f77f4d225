import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openSafetensors } from "../../../files/tensors/safetensors.ts";
import { florenceError } from "../../support/errors.ts";
import { entry, safetensorsBytes, withHeader } from "../../support/safetensors_bytes.ts";

const CASES = new URL("../../../../shared/data/malformed/safetensors-cases.json", import.meta.url);

async function open(bytes: Uint8Array): Promise<Map<string, Uint8Array>> {
  const file = await openSafetensors(bytes);
  const data = new Map<string, Uint8Array>();
  for (const name of file.tensors.keys()) data.set(name, await file.read(name));
  await file.close();
  return data;
}

async function rejects(bytes: Uint8Array, ...patterns: readonly (string | RegExp)[]): Promise<void> {
  await expect(open(bytes)).rejects.toEqual(florenceError("safetensors_invalid", ...patterns));
}

const floats = (...values: number[]) => new Uint8Array(new Float32Array(values).buffer);
const text = (value: string) => Uint8Array.from(value, (character) => character.charCodeAt(0));

describe("a valid file", () => {
  it("gives names, dtypes, shapes, metadata and bytes", async () => {
    const bytes = safetensorsBytes(
      {
        weight: { dtype: "F32", shape: [1, 2], bytes: floats(1, -2) },
        half: { dtype: "F16", shape: [3], bytes: Uint8Array.of(1, 2, 3, 4, 5, 6) },
      },
      { format: "pt" },
    );
    const file = await openSafetensors(bytes);
    expect([...file.tensors]).toMatchObject([
      ["weight", { dtype: "F32", shape: [1, 2], bytes: 8 }],
      ["half", { dtype: "F16", shape: [3], bytes: 6 }],
    ]);
    expect([...file.metadata]).toEqual([["format", "pt"]]);
    expect(new Float32Array((await file.read("weight")).buffer)).toEqual(Float32Array.of(1, -2));
    expect(await file.read("half", { start: 2, end: 5 })).toEqual(Uint8Array.of(3, 4, 5));
    expect(await file.read("half", { start: 4 })).toEqual(Uint8Array.of(5, 6));
    expect(await file.read("half", { start: 6 })).toHaveLength(0);
  });

  it("lets its bytes be changed by nobody who read them", async () => {
    const bytes = safetensorsBytes({ a: { dtype: "U8", shape: [2], bytes: Uint8Array.of(1, 2) } });
    const file = await openSafetensors(Buffer.from(bytes));
    (await file.read("a")).fill(9);
    expect(await file.read("a")).toEqual(Uint8Array.of(1, 2));
  });

  it("refuses unknown tensors, impossible ranges, and reads after close", async () => {
    const file = await openSafetensors(
      safetensorsBytes({ a: { dtype: "U8", shape: [2], bytes: new Uint8Array(2) } }),
    );
    await expect(file.read("b")).rejects.toEqual(florenceError("checkpoint_mismatch", '"b"'));
    for (const range of [
      { start: -1 },
      { end: 3 },
      { start: 2, end: 1 },
      { start: 0.5 },
      { start: Number.NaN },
    ]) {
      await expect(file.read("a", range)).rejects.toEqual(
        florenceError("checkpoint_mismatch", "has 2 bytes"),
      );
    }
    await file.close();
    await file.close();
    await expect(file.read("a")).rejects.toEqual(florenceError("disposed", "closed"));
  });

  it("may be empty, and padded with white space after the header (B5)", async () => {
    expect(await open(withHeader("{}"))).toEqual(new Map());
    expect(await open(withHeader("{}\r \t\n"))).toEqual(new Map());
  });

  it("may hold names that mean something to JavaScript (B8)", async () => {
    const names = ["__proto__", "constructor", "toString", "", "hasOwnProperty", "é\u0000🦊"];
    const header = names.map((name, i) => entry(name, "[1]", `[${4 * i},${4 * i + 4}]`)).join();
    const found = await open(withHeader(`{${header}}`, floats(...names.keys())));
    expect([...found.keys()]).toEqual(names);
    expect(found.get("toString")).toEqual(floats(2));
    expect(({} as Record<string, unknown>).dtype).toBeUndefined();
  });

  it("may have scalars and empty tensors anywhere (B17)", async () => {
    const file = withHeader(
      `{${entry("first", "[0]", "[0,0]")},${entry("scalar", "[]", "[0,4]")},${entry("middle", "[2,0]", "[4,4]")},
      ${entry("b", "[1]", "[4,8]")},${entry("last", "[0,9007199254740991]", "[8,8]")}}`,
      8,
    );
    expect([...(await open(file)).values()].map((bytes) => bytes.length)).toEqual([0, 4, 0, 4, 0]);
  });

  it("may have data that no typed array could view in place (B16)", async () => {
    const header = `{${entry("half", "[1]", "[0,2]", '"F16"')},${entry("float", "[1]", "[2,6]")}}`;
    for (const padding of ["", " ", "  ", "   "]) {
      const data = new Uint8Array([0, 60, ...floats(1.5)]);
      const bytes = (await open(withHeader(header + padding, data))).get("float")!;
      expect(new Float32Array(bytes.buffer)).toEqual(Float32Array.of(1.5));
    }
  });

  it("may hold NaN and infinities (B18)", async () => {
    const bytes = safetensorsBytes({ a: { dtype: "F32", shape: [2], bytes: floats(Number.NaN, Infinity) } });
    expect((await open(bytes)).get("a")).toEqual(floats(Number.NaN, Infinity));
  });

  it("may have unknown fields and tensors in any order (a choice)", async () => {
    const header = `{"b":{"shape":[1],"x":{"y":[]},"dtype":"F32","data_offsets":[4,8]},${entry("a", "[1]", "[0,4]")}}`;
    expect([...(await open(withHeader(header, floats(1, 2))))]).toEqual([
      ["a", floats(1)],
      ["b", floats(2)],
    ]);
  });

  it("knows the size of every dtype", async () => {
    const bits = { F4: 4, F6_E2M3: 6, F6_E3M2: 6, BOOL: 8, U8: 8, I8: 8, F8_E4M3: 8, F8_E5M2: 8, F8_E8M0: 8 };
    const more = {
      F8_E4M3FNUZ: 8,
      F8_E5M2FNUZ: 8,
      I16: 16,
      U16: 16,
      F16: 16,
      BF16: 16,
      I32: 32,
      U32: 32,
      F32: 32,
    };
    for (const [dtype, size] of Object.entries({ ...bits, ...more, I64: 64, U64: 64, F64: 64, C64: 64 })) {
      const bytes = safetensorsBytes({ a: { dtype, shape: [4, 5], bytes: new Uint8Array((20 * size) / 8) } });
      expect((await open(bytes)).get("a"), dtype).toHaveLength((20 * size) / 8);
    }
  });
});

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

describe("any header", () => {
  /** mulberry32 */
  function generator(seed: number): (limit: number) => number {
    let state = seed;
    return (limit) => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) % limit;
    };
  }

  const seeds: readonly Uint8Array[] = [
    withHeader(`{${entry("a", "[2]", "[0,8]")},${entry("b", "[1,1]", "[8,12]")}}`, 12),
    safetensorsBytes({ w: { dtype: "F16", shape: [2, 3], bytes: new Uint8Array(12) } }, { format: "pt" }),
    withHeader('{"__metadata__":{"\\u0061":"\\ud83e\\udd8a"}}'),
  ];
  const pieces = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "0",
    "-1",
    "1e9",
    "4.5",
    "null",
    "\\u",
    "[0,4]",
    '"F32"',
    "\0",
    "\xff",
  ];

  it("gives a table or an error of this library, and nothing else", async () => {
    const random = generator(20240615);
    const outcomes = { accepted: 0, rejected: 0 };
    for (let round = 0; round < 30_000; round++) {
      let bytes = [...seeds[random(seeds.length)]!];
      for (let change = 0; change <= random(4); change++) {
        const at = random(bytes.length);
        const kind = random(4);
        if (kind === 0) bytes[at] = random(256);
        else if (kind === 1) bytes.splice(at, 1 + random(8));
        else if (kind === 2) bytes.splice(at, 0, ...text(pieces[random(pieces.length)]!));
        else bytes = bytes.slice(0, at + 1);
        // Most changes of the length would hide what comes after; keep it right half of the time.
        if (random(2) === 0 && bytes.length > 8) {
          const end = bytes.lastIndexOf("}".charCodeAt(0));
          if (end >= 8) bytes.splice(0, 2, (end - 7) & 255, (end - 7) >> 8);
        }
      }
      try {
        await open(Uint8Array.from(bytes));
        outcomes.accepted++;
      } catch (error) {
        expect(error).toEqual(florenceError("safetensors_invalid"));
        outcomes.rejected++;
      }
    }
    expect(outcomes.accepted).toBeGreaterThan(100);
    expect(outcomes.rejected).toBeGreaterThan(10_000);
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
