import { describe, expect, it } from "vitest";
import { openSafetensors } from "../../../files/tensors/safetensors.ts";
import { florenceError } from "../../support/errors.ts";
import { open } from "../../support/open_safetensors.ts";
import { entry, floats, safetensorsBytes, withHeader } from "../../support/safetensors_bytes.ts";

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
