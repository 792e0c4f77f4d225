import { describe, expect, it } from "vitest";
import { florenceError } from "../../support/errors.ts";
import { open } from "../../support/open_safetensors.ts";
import { entry, safetensorsBytes, text, withHeader } from "../../support/safetensors_bytes.ts";

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
