import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { openFiles } from "../../files/files.ts";
import { florenceTokens, Tokenizer, type TokenizerFiles } from "../../tokenizer/index.ts";
import {
  directory,
  read,
  selfContained,
  small,
  tokenizerJson,
  vectors,
  vocabAndMerges,
} from "../support/small_tokenizer.ts";

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
