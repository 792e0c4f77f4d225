// Vectors for the released vocabulary, which the repository does not ship.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { Tokenizer } from "../../tokenizer/index.ts";

const directory = fileURLToPath(new URL("../../../shared/data/tokenizer", import.meta.url));
const available = existsSync(directory);

type Vector = {
  text: string;
  ids?: number[];
  tokens?: string[];
  add_special_tokens: boolean;
  add_prefix_space?: boolean;
};
type Oracle = {
  encode: {
    text: string;
    ids: number[];
    tokens: string[];
    decoded: string;
    decoded_skip_special: string;
    decoded_skip_special_cleanup: string;
  }[];
  decode: { ids: number[]; decoded: string; decoded_skip_special: string; js_cleanup: string }[];
};

const json = (name: string) => JSON.parse(readFileSync(`${directory}/${name}`, "utf8"));

describe.skipIf(!available)("the released vocabulary", () => {
  const load = async () => {
    if (!available) return {} as never;
    const whole = json("tokenizer.json");
    const image = { ...whole.added_tokens.at(-1), id: 51289, content: "<image>" };
    const vocabAndMerges = {
      "vocab.json": json("vocab.json"),
      "merges.txt": readFileSync(`${directory}/merges.txt`, "utf8"),
    };
    return {
      microsoft: await Tokenizer.fromPretrained(`${directory}/microsoft-florence-2-large`),
      selfContained: await Tokenizer.fromPretrained(directory),
      native: Tokenizer.fromFiles({
        "tokenizer.json": { ...whole, added_tokens: [...whole.added_tokens, image] },
      }),
      vocabAndMerges: Tokenizer.fromFiles(vocabAndMerges),
      withAddedTokens: Tokenizer.fromFiles({
        ...vocabAndMerges,
        "added_tokens.json": json("added_tokens.json"),
        "tokenizer_config.json": json("tokenizer_config.json"),
        "special_tokens_map.json": json("special_tokens_map.json"),
      }),
    };
  };

  const forms = load();

  it("gives the ids and tokens of every public vector", async () => {
    const { microsoft } = await forms;
    const prefixed = json("tokenizer.json");
    prefixed.pre_tokenizer.add_prefix_space = true;
    const prefixing = Tokenizer.fromFiles({ "tokenizer.json": prefixed });
    const vectors: Vector[] = json("vectors.json").vectors;
    expect(vectors).toHaveLength(126);
    for (const { text, ids, tokens, add_special_tokens: addSpecialTokens, add_prefix_space } of vectors) {
      const tokenizer = add_prefix_space ? prefixing : microsoft;
      const found = tokenizer.encode(text, { addSpecialTokens });
      if (ids !== undefined) expect(found, text).toEqual(ids);
      if (tokens !== undefined) {
        const bare = tokens.includes("<s>") ? found : tokenizer.encode(text, { addSpecialTokens: false });
        expect(
          bare.map((id) => tokenizer.idToToken(id)),
          text,
        ).toEqual(tokens);
      }
    }
  });

  it("agrees with the recorded reference in all forms of the files", async () => {
    const oracle: Oracle = json("vectors-oracle.json");
    expect([oracle.encode.length, oracle.decode.length]).toEqual([88, 11]);
    for (const [form, tokenizer] of Object.entries(await forms)) {
      expect(tokenizer.vocabularySize).toBe(form === "native" ? 51290 : 51289);
      for (const { text, ids, tokens, ...texts } of oracle.encode) {
        // In the native form "<image>" is a token of its own.
        if (form === "native" && text.includes("<image>")) continue;
        expect(tokenizer.encode(text), `${form}: ${text}`).toEqual(ids);
        // The recording has the text that a token was made of; <mask> swallows the space before it.
        expect(ids.map((id) => tokenizer.idToToken(id))).toEqual(
          tokens.map((token) => token.replace(" <mask>", "<mask>")),
        );
        expect(tokenizer.decode(ids)).toBe(texts.decoded);
        expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(texts.decoded_skip_special);
        expect(tokenizer.decode(ids, { skipSpecialTokens: true, cleanUpTokenizationSpaces: true })).toBe(
          texts.decoded_skip_special_cleanup,
        );
      }
      for (const { ids, ...texts } of oracle.decode) {
        expect(tokenizer.decode(ids)).toBe(texts.decoded);
        expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(texts.decoded_skip_special);
        expect(tokenizer.decode(ids, { skipSpecialTokens: true, cleanUpTokenizationSpaces: true })).toBe(
          texts.js_cleanup,
        );
      }
    }
    const { native } = await forms;
    expect(native.encode("<image>a")).toEqual([0, 51289, 102, 2]);
  });

  it("puts the Florence tokens where the release has them", async () => {
    const { microsoft } = await forms;
    for (const [token, id] of Object.entries(json("added_tokens.json"))) {
      expect(microsoft.tokenToId(token)).toBe(id);
    }
    expect(microsoft.locationToken(999)).toBe(51268);
    const { bosId, padId, eosId, unkId } = microsoft;
    expect([bosId, padId, eosId, unkId]).toEqual([0, 1, 2, 3]);
    // Typed by a user, this is ordinary text and never the token of id 50260.
    expect(microsoft.encode("<|endoftext|>")).not.toContain(50260);
  });
});
