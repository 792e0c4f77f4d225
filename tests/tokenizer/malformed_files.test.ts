import { describe, expect, it } from "vitest";
import { Tokenizer, type TokenizerFiles } from "../../tokenizer/index.ts";
import { failure } from "../support/errors.ts";
import { read, selfContained, small, tokenizerJson, vocabAndMerges } from "../support/small_tokenizer.ts";

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
