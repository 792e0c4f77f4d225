import { describe, expect, it } from "vitest";
import { bytePairEncode, pairKey } from "../../tokenizer/byte_pair_encoding.ts";
import { Tokenizer } from "../../tokenizer/index.ts";
import { pretokenize } from "../../tokenizer/pretokenize.ts";
import { failure } from "../support/errors.ts";
import { selfContained, small, tokenizerJson, vectors } from "../support/small_tokenizer.ts";

describe("vectors of the reference", () => {
  it.each(vectors)("encodes and decodes $text", ({ text, ids, decoded }) => {
    expect(small.encode(text)).toEqual(ids);
    expect(small.encode(text, { addSpecialTokens: false })).toEqual(ids.slice(1, -1));
    expect(small.decode(ids)).toBe(decoded);
  });

  it("puts a space before ordinary text where the files ask for it", () => {
    const file = tokenizerJson();
    file.pre_tokenizer.add_prefix_space = true;
    const prefixing = Tokenizer.fromFiles({ "tokenizer.json": file });
    for (const { text, prefixed } of vectors) expect(prefixing.encode(text)).toEqual(prefixed);
  });
});

describe("text", () => {
  it("splits as GPT-2 does", () => {
    const split = (text: string) => [...pretokenize(text)];
    expect(split("it's 2 'tis we've'd DON'T")).toEqual([
      "it",
      "'s",
      " 2",
      " '",
      "tis",
      " we",
      "'ve",
      "'d",
      " DON",
      "'",
      "T",
    ]);
    expect(split("a  b\n\n c\t")).toEqual(["a", " ", " b", "\n\n", " c", "\t"]);
    expect(split(" \n")).toEqual([" \n"]);
    expect(split("x\u0085y\u00a0z\ufeff!\u001c")).toEqual([
      "x",
      "\u0085",
      "y",
      "\u00a0",
      "z",
      "\ufeff!\u001c",
    ]);
    expect(split("𝟙½a𝒳中 😀!")).toEqual(["𝟙½", "a𝒳中", " 😀!"]);
    expect(split("")).toEqual([]);
  });

  it("merges the lowest rank first, leftmost first", () => {
    // Bytes 0 to 9 are ids 0 to 9; "1 1" makes 10, "10 1" makes 11, "2 1" makes 12 and comes before all.
    const table = {
      byteIds: Array.from({ length: 256 }, (_, byte) => byte),
      rankOfPair: new Map([
        [pairKey(2, 1), 0],
        [pairKey(1, 1), 1],
        [pairKey(10, 1), 2],
        [pairKey(10, 10), 3],
      ]),
      mergedIds: [12, 10, 11, 13],
    };
    const encode = (...bytes: number[]) => bytePairEncode(Uint8Array.from(bytes), table);
    expect(encode(1, 1, 1)).toEqual([11]);
    expect(encode(1, 1, 1, 1)).toEqual([13]);
    expect(encode(1, 1, 1, 1, 1)).toEqual([10, 11]);
    expect(encode(2, 1, 1, 1)).toEqual([12, 10]);
    expect(encode(5)).toEqual([5]);
    expect(encode()).toEqual([]);
  });

  it("prefers the longest added token, and leaves alone what only looks like one", () => {
    const file = selfContained(["<loc_1>x", "<loc_1", "<loc_1>xyz"]);
    const tokenizer = Tokenizer.fromFiles({ "tokenizer.json": file });
    const ids = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
    expect(ids("<loc_1>xyz<loc_1>xy<loc_1>")).toEqual([1666, 1664, ...ids("y"), 645]);
    expect(ids("<loc_12>")).toEqual([656]);
    expect(ids("<loc_1")).toEqual([1665]);
    expect(small.encode("<loc_1").length).toBeGreaterThan(3);
  });

  it("encodes lone surrogates as U+FFFD", () => {
    expect(small.encode("a\ud83db\udc00")).toEqual(small.encode("a\ufffdb\ufffd"));
    expect(small.decode(small.encode("\ud83d\ude00", { addSpecialTokens: false }))).toBe("😀");
  });

  it.each([undefined, null, 5, ["a"], {}])("refuses %s as a text", (value) => {
    expect(failure(() => small.encode(value as string)).code).toBe("token_invalid");
  });

  it("takes hostile text in near-linear time", () => {
    const million = 1_000_000;
    // A quadratic search for merges or matches would need hours for any of these.
    const texts = ["a", " ", "\n", "<", "'", "ab ", "<region_to_desciptio", "<mask", "loc"]
      .map((unit) => unit.repeat(million / unit.length))
      .concat("😀".repeat(100_000), `${" ".repeat(million)}x`);
    for (const text of texts) {
      const ids = small.encode(text, { addSpecialTokens: false });
      expect(small.decode(ids)).toBe(text);
    }
    const spaces = `${" ".repeat(100_000)}<mask>`.repeat(5);
    expect(small.encode(spaces, { addSpecialTokens: false })).toEqual([4, 4, 4, 4, 4]);
  });
});

describe("ids", () => {
  it("decodes with and without special tokens, and cleans up when told to", () => {
    const ids = small.encode("Hello , world ! it 's <loc_3> ' x ' do n't");
    expect(small.decode(ids)).toBe("<s>Hello , world ! it 's <loc_3> ' x ' do n't</s>");
    expect(small.decode(ids, { skipSpecialTokens: true })).toBe("Hello , world ! it 's  ' x ' do n't");
    expect(small.decode(ids, { skipSpecialTokens: true, cleanUpTokenizationSpaces: true })).toBe(
      "Hello, world! it's 'x'don't",
    );
    expect(small.decode([])).toBe("");
    expect(small.decode(new Uint32Array(ids))).toBe(small.decode(ids));
  });

  it.each([-1, 2 ** 32, 1.5, Number.NaN, 1n, "5", undefined])("refuses %s as an id", (id) => {
    const error = failure(() => small.decode([5, id as number]));
    expect(error.code).toBe("token_invalid");
    expect(error.message).toContain("0 to 4294967295");
  });

  it("decodes an id beyond the vocabulary to nothing, as transformers does", () => {
    const [a, b] = [small.tokenToId("a")!, small.tokenToId("b")!];
    expect(small.decode([a, 1664, b, 51327])).toBe("ab");
    expect(small.decode([a, 1664, b], { skipSpecialTokens: true })).toBe("ab");
    expect(small.decodeWithOffsets([a, 1664, b])).toEqual({ text: "ab", offsets: [0, 1, 1, 2] });
    // A character that such an id interrupts is completed.
    const [first, ...rest] = small.encode("é", { addSpecialTokens: false });
    expect(small.decode([first!, 1664, ...rest])).toBe("é");
  });

  it("keeps a byte order mark and replaces what is not UTF-8", () => {
    expect(small.decode(small.encode("\ufeffa", { addSpecialTokens: false }))).toBe("\ufeffa");
    const incomplete = small.encode("\u{10abcd}", { addSpecialTokens: false }).slice(0, -1);
    expect(small.decode(incomplete)).toBe("\ufffd");
    expect(small.decode([...incomplete, small.tokenToId("A")!])).toBe("\ufffdA");
    expect(small.decode([small.tokenToId("ÿ")!, small.tokenToId("ÿ")!])).toBe("\ufffd\ufffd");
  });

  it("streams whole characters", () => {
    const ids = small.encode("中文😀é!");
    const stream = small.decodeStream({ skipSpecialTokens: true });
    const pieces = ids.map((id) => stream.push(id));
    expect(pieces.join("") + stream.end()).toBe("中文😀é!");
    expect(pieces.length).toBeGreaterThan(6);
    expect(pieces.filter((piece) => piece.includes("\ufffd"))).toEqual([]);

    const [firstByte] = small.encode("中", { addSpecialTokens: false });
    expect([stream.push(firstByte!), stream.end(), stream.end()]).toEqual(["", "\ufffd", ""]);
  });

  it("tells where each token stands", () => {
    const ids = small.encode("a中<loc_3>");
    const { text, offsets } = small.decodeWithOffsets(ids);
    expect(text).toBe("<s>a中<loc_3></s>");
    const texts = ids.map((_, i) => text.slice(offsets[i], offsets[i + 1]));
    expect(texts.filter((piece) => piece !== "")).toEqual(["<s>", "a", "中", "<loc_3>", "</s>"]);
    expect(small.decodeWithOffsets([])).toEqual({ text: "", offsets: [0] });

    const open = small.decodeWithOffsets(small.encode("中", { addSpecialTokens: false }).slice(0, 1));
    expect(open).toEqual({ text: "\ufffd", offsets: [0, 1] });
  });

  it("maps locations both ways and knows no others", () => {
    for (let bin = 0; bin < 1000; bin++) {
      const id = small.locationToken(bin);
      expect(small.idToToken(id)).toBe(`<loc_${bin}>`);
      expect(small.locationOf(id)).toBe(bin);
    }
    for (const id of [643, 1644, -1, 644.5, Number.NaN]) expect(small.locationOf(id)).toBeUndefined();
    for (const bin of [-1, 1000, 1.5, Number.NaN]) {
      expect(failure(() => small.locationToken(bin)).code).toBe("token_invalid");
    }
    expect(small.isSpecial(644)).toBe(true);
    expect(small.isSpecial(100)).toBe(false);
    expect(small.idToToken(1664)).toBeUndefined();
  });
});
