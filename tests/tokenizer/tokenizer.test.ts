import { readFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { openFiles } from "../../files/files.ts";
import { bytePairEncode, pairKey } from "../../tokenizer/byte_pair_encoding.ts";
import { florenceTokens, Tokenizer, type TokenizerFiles } from "../../tokenizer/index.ts";
import { pretokenize } from "../../tokenizer/pretokenize.ts";
import { failure } from "../support/errors.ts";

const directory = fileURLToPath(new URL("../fixtures/tokenizer", import.meta.url));
const read = (name: string) => readFileSync(`${directory}/${name}`, "utf8");
const tokenizerJson = () => JSON.parse(read("tokenizer.json"));
const vocabAndMerges = () => ({
  "vocab.json": JSON.parse(read("vocab.json")),
  "merges.txt": read("merges.txt"),
});
const vectors: { text: string; ids: number[]; prefixed: number[]; decoded: string }[] = JSON.parse(
  read("vectors.json"),
);
const small = Tokenizer.fromFiles({ "tokenizer.json": tokenizerJson() });

/** tokenizer.json as other conversions write it: all added tokens listed. */
function selfContained(extra: string[] = []) {
  const file = tokenizerJson();
  const first = Object.keys(file.model.vocab).length;
  for (const [i, content] of [...florenceTokens, ...extra].entries()) {
    file.added_tokens.push({ id: first + i, content, special: true, lstrip: false, normalized: false });
  }
  return file;
}

/** The typed error that an action fails with. */
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

describe("forms of the files", () => {
  const template = {
    type: "TemplateProcessing",
    single: [
      { SpecialToken: { id: "<s>", type_id: 0 } },
      { Sequence: { id: "A", type_id: 0 } },
      { SpecialToken: { id: "</s>", type_id: 0 } },
    ],
    special_tokens: { "<s>": { ids: [0] }, "</s>": { ids: [2] } },
  };
  const stringMerges = tokenizerJson();
  stringMerges.model.merges = stringMerges.model.merges.map((merge: string[]) => merge.join(" "));
  const merges = read("merges.txt");
  const forms: Record<string, TokenizerFiles> = {
    "text of tokenizer.json": { "tokenizer.json": read("tokenizer.json") },
    "self-contained tokenizer.json": { "tokenizer.json": selfContained() },
    "tokenizer.json with <image>": { "tokenizer.json": selfContained(["<image>"]) },
    "merges as strings": { "tokenizer.json": stringMerges },
    "a template": { "tokenizer.json": { ...tokenizerJson(), post_processor: template } },
    "vocab.json with merges.txt": vocabAndMerges(),
    "merges.txt with CRLF": { ...vocabAndMerges(), "merges.txt": merges.replaceAll("\n", "\r\n") },
    "merges.txt without version": { ...vocabAndMerges(), "merges.txt": merges.replace(/^#version.*\n/, "") },
    "merges.txt with a byte order mark and blank lines": {
      ...vocabAndMerges(),
      "merges.txt": `\uFEFF${merges}\n\n`,
    },
    "vocab.json with added_tokens.json": {
      ...vocabAndMerges(),
      "added_tokens.json": Object.fromEntries(florenceTokens.map((token, i) => [token, 640 + i])),
    },
  };

  it.each(Object.entries(forms))("%s", (_, files) => {
    const tokenizer = Tokenizer.fromFiles(files);
    for (const { text, ids } of vectors) expect(tokenizer.encode(text)).toEqual(ids);
    expect(tokenizer.locationToken(0)).toBe(644);
  });

  it("takes a line that begins with # for a merge", () => {
    const files = vocabAndMerges();
    files["vocab.json"]["##"] = 640;
    files["merges.txt"] += "# #\n";
    const tokenizer = Tokenizer.fromFiles(files);
    expect(tokenizer.encode("##", { addSpecialTokens: false })).toEqual([640]);
  });

  it("finds special tokens by the names that the configuration gives", () => {
    const file = tokenizerJson();
    for (const [special_tokens_map, tokenizer_config] of [
      [{ pad_token: { content: "<mask>" }, bos_token: "<s>" }, {}],
      [{}, { pad_token: "<mask>" }],
    ]) {
      const tokenizer = Tokenizer.fromFiles({
        "tokenizer.json": file,
        "special_tokens_map.json": special_tokens_map,
        "tokenizer_config.json": tokenizer_config,
      });
      const { bosId, padId, eosId, unkId } = tokenizer;
      expect({ bosId, padId, eosId, unkId }).toEqual({ bosId: 0, padId: 4, eosId: 2, unkId: 3 });
    }
  });

  it("reads the added tokens of tokenizer_config.json", () => {
    const added_tokens_decoder = Object.fromEntries(
      florenceTokens.map((content, i) => [640 + i, { content, special: true, normalized: false }]),
    );
    const tokenizer = Tokenizer.fromFiles({
      "tokenizer.json": tokenizerJson(),
      "tokenizer_config.json": JSON.stringify({ added_tokens_decoder }),
    });
    expect(tokenizer.encode("<loc_7>")).toEqual([0, 651, 2]);
    expect(tokenizer.vocabularySize).toBe(1664);
  });

  it("loads a folder by path and by URL, and files by name", async () => {
    const files = {
      "vocab.json": new Blob([read("vocab.json")]),
      "merges.txt": new Blob([read("merges.txt")]),
    };
    const added = { "added_tokens.json": new Blob(['{"<od>": 700}']) };
    for (const source of [directory, pathToFileURL(directory), files, openFiles(files)]) {
      const tokenizer = await Tokenizer.fromPretrained(source);
      expect(tokenizer.encode("hello")).toEqual(small.encode("hello"));
    }
    await expect(Tokenizer.fromPretrained({ ...files, ...added })).rejects.toThrow("700");
  });

  it("names the directory that has no tokenizer", async () => {
    const error = await Tokenizer.fromPretrained("/nowhere").catch((reason) => reason);
    expect(error).toMatchObject({
      code: "file_not_found",
      message: expect.stringContaining("/nowhere/tokenizer.json"),
    });
  });
});

describe("malformed files", () => {
  const changed = (change: (file: ReturnType<typeof tokenizerJson>) => void, file = tokenizerJson()) => {
    change(file);
    return { "tokenizer.json": file };
  };
  const cases: [string, TokenizerFiles, string][] = [
    ["nothing", {}, "needs tokenizer.json"],
    ["an empty file", { "tokenizer.json": "" }, "tokenizer.json is not valid JSON"],
    ["a truncated file", { "tokenizer.json": read("tokenizer.json").slice(0, 5000) }, "line 1, column 5001"],
    ["a web page", { "tokenizer.json": "<!DOCTYPE html><html></html>" }, 'found "<"'],
    ["a key that comes twice", { "tokenizer.json": '{"model": {}, "model": {}}' }, "model"],
    ["a list", { "tokenizer.json": "[]" }, "tokenizer.json is []. Expected an object"],
    [
      "another model",
      changed((f) => {
        f.model.type = "WordPiece";
      }),
      'model.type is "WordPiece"',
    ],
    [
      "a normalizer",
      changed((f) => {
        f.normalizer = { type: "NFKC" };
      }),
      "normalizer",
    ],
    [
      "a foreign pattern",
      changed((f) => {
        f.pre_tokenizer = { type: "Split", pattern: { Regex: "(a+)+$" } };
      }),
      "Split",
    ],
    [
      "another pre-tokenizer setting",
      changed((f) => {
        f.pre_tokenizer.use_regex = false;
      }),
      "use_regex",
    ],
    [
      "dropout",
      changed((f) => {
        f.model.dropout = 0.1;
      }),
      "model.dropout is 0.1",
    ],
    [
      "no post-processor",
      changed((f) => {
        f.post_processor = null;
      }),
      "post_processor is null",
    ],
    [
      "a wrong id in the post-processor",
      changed((f) => {
        f.post_processor.cls[1] = 7;
      }),
      "is 7. Expected 0",
    ],
    [
      "a prefix space said twice, differently",
      { ...changed(() => {}), "tokenizer_config.json": { add_prefix_space: true } },
      "add_prefix_space is true",
    ],
    [
      "a duplicate id",
      changed((f) => {
        f.model.vocab["!"] = 6;
      }),
      "the id of",
    ],
    [
      "a gap",
      changed((f) => {
        f.model.vocab["!"] = 640;
      }),
      "the id of",
    ],
    [
      "a negative id",
      changed((f) => {
        f.model.vocab["!"] = -1;
      }),
      "is -1. Expected an integer of 0 to 639",
    ],
    [
      "a huge id",
      changed((f) => {
        f.model.vocab["!"] = 1e9;
      }),
      "1000000000",
    ],
    [
      "a fractional id",
      changed((f) => {
        f.model.vocab["!"] = 5.5;
      }),
      "5.5",
    ],
    [
      "an id that is a text",
      changed((f) => {
        f.model.vocab["!"] = "5";
      }),
      'model.vocab["!"] is "5"',
    ],
    [
      "a byte without a token",
      changed((f) => {
        delete f.model.vocab["!"];
        f.model.vocab.tail = 5;
      }),
      "byte 33",
    ],
    [
      "a merge of one part",
      changed((f) => {
        f.model.merges[3] = ["a"];
      }),
      "model.merges[3]",
    ],
    [
      "a merge of three parts",
      changed((f) => {
        f.model.merges[3] = "a b c";
      }),
      "two tokens",
    ],
    [
      "a merge of an unknown part",
      changed((f) => {
        f.model.merges[3] = ["a", "nope"];
      }),
      '"nope"',
    ],
    [
      "a merge of an unknown result",
      changed((f) => {
        f.model.merges[3] = ["!", "a"];
      }),
      '"!a"',
    ],
    [
      "a merge that comes twice",
      changed((f) => {
        f.model.merges.push(f.model.merges[0]);
      }),
      "a new pair",
    ],
    [
      "a line of merges.txt with one part",
      { ...vocabAndMerges(), "merges.txt": "#version: 0.2\nabc\n" },
      "merges.txt: line 2",
    ],
    [
      "an added token without text",
      changed((f) => {
        f.added_tokens[0].content = "";
      }),
      "added_tokens[0].content",
    ],
    [
      "an added token at another id",
      changed((f) => {
        f.added_tokens[0].id = 9;
      }),
      "the id of <s> is 9. Expected 0",
    ],
    [
      "an added token on a taken id",
      changed((f) => {
        f.added_tokens.push({ id: 9, content: "<new>" });
      }),
      "<new>",
    ],
    [
      "an added token for whole words only",
      changed((f) => {
        f.added_tokens[0].single_word = true;
      }),
      "single_word",
    ],
    [
      "files that disagree",
      { ...changed(() => {}, selfContained()), "added_tokens.json": { "<od>": 7 } },
      "added_tokens.json: the id of <od> is 7. Expected 640",
    ],
    [
      "a missing location",
      changed((f) => {
        f.added_tokens.find((t: { content: string }) => t.content === "<loc_500>").content = "<loc_5000>";
      }, selfContained()),
      "<loc_500>",
    ],
    [
      "locations out of order",
      changed((f) => {
        f.added_tokens[10].content = "<loc_2>";
        f.added_tokens[11].content = "<loc_1>";
      }, selfContained()),
      "<loc_1>",
    ],
    [
      "no padding token",
      { "tokenizer.json": tokenizerJson(), "special_tokens_map.json": { pad_token: "[PAD]" } },
      'pad_token is "[PAD]"',
    ],
  ];

  it.each(cases)("%s", (_, files, words) => {
    const error = failure(() => Tokenizer.fromFiles(files));
    expect(error.code).toBe("tokenizer_invalid");
    expect(error.message).toContain(words);
    expect(error.message.length).toBeLessThan(400);
  });

  it("keeps tokens apart that are named like members of every object", () => {
    const file = tokenizerJson();
    const added = { special: true, normalized: false };
    file.added_tokens.push(
      { id: 640, content: "__proto__", ...added },
      { id: 641, content: "toString", ...added },
    );
    const tokenizer = Tokenizer.fromFiles({ "tokenizer.json": JSON.stringify(file) });
    expect(tokenizer.encode("a__proto__toString", { addSpecialTokens: false }).slice(-2)).toEqual([640, 641]);
    expect(small.tokenToId("valueOf")).toBeUndefined();
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
