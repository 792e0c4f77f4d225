// 100,000 random texts, encoded and decoded by the `tokenizers` package and here. The texts come from a
// counter, so that both sides make the same ones; tests/reference/tokenizer.py describes and writes it all.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { Tokenizer } from "../../tokenizer/index.ts";

const fixtures = fileURLToPath(new URL("../fixtures/tokenizer", import.meta.url));
const released = fileURLToPath(
  new URL("../../../shared/data/tokenizer/microsoft-florence-2-large", import.meta.url),
);
const digests: Record<"small" | "released", string[]> = JSON.parse(
  readFileSync(`${fixtures}/digests.json`, "utf8"),
);

const TEXTS_OF_A_DIGEST = 1000;
const STRIDE = 4096;

// biome-ignore format: the same lines as in the reference
const WORDS = ["the", "The", "image", "shows", "a", "car", "parked", "in", "front", "of", "building", "don't", "it's",
  "we'll", "I'M", "they're", "'tis", "hello", "wheels", "OCR", "x", "caption", "constructor", "__proto__"];
const PUNCTUATION = [...".,;:!?'\"-_()[]{}<>/\\|@#$%^&*+=~`", "…", "—", "。", "«", "€", "¿"];
// biome-ignore format: the same lines as in the reference
const SPACES = [" ", " ", " ", "\n", "\t", "\r", "\v", "\f", "\u0085", "\u00a0", "\u1680", "\u2003", "\u2028", "\u2029",
  "\u202f", "\u205f", "\u3000", "\ufeff", "\u200b", "\u180e", "\u001c"];
const NUMBERS = [..."0123456789", "½", "²", "٣", "Ⅷ", "०", "𝟙", "①", "〇"];
const EMOJI = ["😀", "🤗", "👩\u200d👩\u200d👧", "🏳️\u200d🌈", "🇫🇷", "👍🏽", "❤️", "🚗"];
// biome-ignore format: the same lines as in the reference
const SPECIAL = ["<s>", "</s>", "<pad>", "<unk>", "<mask>", "<od>", "</ocr>", "<cap>", "</dcap>", "<grounding>", "<sep>",
  "<poly>", "</poly>", "<and>", "<region_to_desciption>", "<image>", "<region_to_description>"];
// biome-ignore format: the same lines as in the reference
const PIECES = ["<loc_", "_5>", "<", "</", "s>", "<lo", "<loc_<loc_7>", "'s", "'re", "''", "<|endoftext|>", "<OD>", "<mas",
  "k>", "<loc_007>", "<<s>>"];
// biome-ignore format: the same lines as in the reference
const BLOCKS: [number, number][] = [[0x00a1, 0x0377], [0x0400, 0x052f], [0x05d0, 0x05ea], [0x0905, 0x0939],
  [0x0e01, 0x0e3a], [0x1e00, 0x1eff], [0x2010, 0x2027], [0x2190, 0x23ff], [0x3041, 0x3096], [0x4e00, 0x9fff],
  [0xac00, 0xd7a3], [0xe000, 0xf8ff], [0xff01, 0xff5e], [0x1d400, 0x1d454], [0x1f300, 0x1f5ff], [0x20000, 0x2a6dd],
  [0xf0000, 0xffffd]];

function hash32(value: number): number {
  let x = Math.imul(value, 0x9e3779b9);
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

function randomText(number: number): string {
  let counter = number * STRIDE;
  const draw = (limit: number) => hash32(counter++) % limit;
  const pick = (items: readonly string[]) => items[draw(items.length)]!;
  const repeat = (times: number, make: () => string) => {
    const count = 1 + draw(times);
    return Array.from({ length: count }, make).join("");
  };
  // Letter before capital: JavaScript and Python both draw from left to right.
  const letter = () => String.fromCharCode(97 + draw(26) - 32 * draw(2));
  const parts: (() => string)[] = [
    () => repeat(8, letter),
    () => (draw(2) ? " " : "") + pick(WORDS),
    () => repeat(5, () => pick(PUNCTUATION)),
    () => repeat(4, () => pick(SPACES)),
    () => repeat(6, () => pick(NUMBERS)),
    () => repeat(2, () => pick(EMOJI)),
    () => repeat(4, () => String.fromCharCode(0x4e00 + draw(0x5200))),
    () => String.fromCharCode(97 + draw(26)) + repeat(3, () => String.fromCharCode(0x300 + draw(0x70))),
    () => {
      const code = draw(65);
      return String.fromCharCode(code < 32 ? code : 0x7f + code - 32);
    },
    () => pick(SPECIAL),
    () => (draw(4) ? `<loc_${draw(1010)}>` : pick(PIECES)),
    () => {
      const [first, last] = BLOCKS[draw(BLOCKS.length)]!;
      return repeat(5, () => String.fromCodePoint(first + draw(last - first + 1)));
    },
  ];
  const count = draw(13);
  return Array.from({ length: count }, () => parts[draw(parts.length)]!()).join("");
}

function digest(tokenizer: Tokenizer, start: number): string {
  const sha = createHash("sha256");
  for (let number = start; number < start + TEXTS_OF_A_DIGEST; number++) {
    const ids = tokenizer.encode(randomText(number));
    const skipped = tokenizer.decode(ids, { skipSpecialTokens: true });
    sha.update(`${ids.join(" ")}\n${tokenizer.decode(ids)}\n${skipped}\n`);
  }
  return sha.digest("hex").slice(0, 16);
}

const cases = [
  { name: "small", directory: fixtures },
  { name: "released", directory: released },
] as const;

for (const { name, directory } of cases) {
  describe.skipIf(!existsSync(directory))(`random texts, ${name} vocabulary`, () => {
    it("gives the ids and texts of the reference for 100,000 texts", async () => {
      const tokenizer = await Tokenizer.fromPretrained(directory);
      const found = digests[name].map((_, block) => digest(tokenizer, block * TEXTS_OF_A_DIGEST));
      expect(found).toHaveLength(100);
      expect(found).toEqual(digests[name]);
    });
  });
}
