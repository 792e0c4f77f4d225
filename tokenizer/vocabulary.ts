import { Florence2Error } from "../core/errors.ts";
import { type AddedToken, florenceTokens, LOCATION_BINS, locationContent } from "./added_tokens.ts";
import { type MergeTable, pairKey } from "./byte_pair_encoding.ts";
import { byteCharacters } from "./bytes.ts";
import type { TokenizerFiles } from "./files.ts";
import {
  expectFields,
  expectNumber,
  expectOneOf,
  expectText,
  type Fields,
  invalidField,
  parseFields,
  requireId,
} from "./json_fields.ts";
import {
  plainAddedToken,
  readTokenizerJson,
  readVocabAndMerges,
  type TemplateToken,
  type TextModel,
} from "./text_model.ts";

/** Everything that the files of a tokenizer say, checked. */
export type Vocabulary = {
  readonly idOfToken: ReadonlyMap<string, number>;
  /** Token of every id, without gaps; added tokens included. */
  readonly tokens: readonly string[];
  readonly addedTokens: readonly AddedToken[];
  readonly merges: MergeTable;
  /** Whether every stretch of ordinary text gets a space put before it. */
  readonly addPrefixSpace: boolean;
  /** Ids put before and after an encoded text. */
  readonly firstId: number;
  readonly lastId: number;
  readonly bosId: number;
  readonly padId: number;
  readonly eosId: number;
  readonly unkId: number;
  /** Id of `<loc_0>`; the other 999 follow it. */
  readonly firstLocationId: number;
};

/**
 * Reads and checks tokenizer files in any of the forms that Florence-2 comes in: Microsoft's tokenizer.json
 * with BART's five added tokens, to which the 1024 Florence tokens are appended as Microsoft's processor
 * does; a self-contained tokenizer.json, with or without `<image>`; vocab.json with merges.txt. Parts that
 * this tokenizer does not implement are refused. Throws `tokenizer_invalid`.
 */
export function readVocabulary(files: TokenizerFiles): Vocabulary {
  const { "tokenizer.json": tokenizerJson, "merges.txt": mergesText, ...others } = files;
  const config = parseFields("tokenizer_config.json", others["tokenizer_config.json"] ?? {});
  const specialTokens = parseFields("special_tokens_map.json", others["special_tokens_map.json"] ?? {});
  const addedIds = parseFields("added_tokens.json", others["added_tokens.json"] ?? {});

  let model: TextModel;
  if (tokenizerJson !== undefined) {
    model = readTokenizerJson(parseFields("tokenizer.json", tokenizerJson), config);
  } else if (others["vocab.json"] !== undefined && typeof mergesText === "string") {
    model = readVocabAndMerges(parseFields("vocab.json", others["vocab.json"]), mergesText, config);
  } else {
    const given = Object.keys(files).join(", ") || "nothing";
    const message = `a tokenizer needs tokenizer.json, or vocab.json with merges.txt; given: ${given}`;
    throw new Florence2Error("tokenizer_invalid", message, { given });
  }

  const { file } = model;
  const addedTokens = collectAddedTokens(model, config, addedIds);
  const idOfToken = new Map(model.idOfToken);
  for (const token of addedTokens) idOfToken.set(token.content, token.id);
  const tokens = tokensById(file, idOfToken);
  if (!idOfToken.has(locationContent(0))) {
    for (const content of florenceTokens) {
      if (idOfToken.has(content)) continue;
      const id = tokens.push(content) - 1;
      idOfToken.set(content, id);
      addedTokens.push({ ...plainAddedToken, id, content });
    }
  }

  const specialId = (name: string, usual: string) =>
    requireId(idOfToken, file, name, contentOf(specialTokens[name] ?? config[name]) ?? usual);
  const templateId = ({ content, id }: TemplateToken) => {
    const known = requireId(idOfToken, file, "post_processor", content);
    expectOneOf(file, `post_processor's id of ${content}`, id, [known]);
    return known;
  };
  return {
    idOfToken,
    tokens,
    addedTokens,
    merges: buildMergeTable(model, idOfToken),
    addPrefixSpace: model.addPrefixSpace,
    firstId: templateId(model.first),
    lastId: templateId(model.last),
    bosId: specialId("bos_token", "<s>"),
    padId: specialId("pad_token", "<pad>"),
    eosId: specialId("eos_token", "</s>"),
    unkId: specialId("unk_token", "<unk>"),
    firstLocationId: findLocations(file, addedTokens),
  };
}

/** Added tokens of all files that list some. They must agree on ids; the first to name a token describes it. */
function collectAddedTokens(model: TextModel, config: Fields, addedIds: Fields): AddedToken[] {
  const collected = new Map<string, AddedToken>();
  const add = (file: string, field: string, token: Fields) => {
    const content = expectText(file, `${field}.content`, token.content);
    const id = expectNumber(file, `${field}.id`, token.id);
    const known = collected.get(content)?.id ?? model.idOfToken.get(content) ?? id;
    if (id !== known) throw invalidField(file, `the id of ${content}`, id, `${known}`);
    expectOneOf(file, `${field}.single_word`, token.single_word, [false, undefined]);
    if (collected.has(content)) return;
    collected.set(content, {
      id,
      content,
      special: token.special !== false,
      lstrip: token.lstrip === true,
      rstrip: token.rstrip === true,
      normalized: token.normalized === true,
    });
  };

  for (const [field, token] of model.addedTokens) add(model.file, field, token);
  const file = "tokenizer_config.json";
  const decoder = expectFields(file, "added_tokens_decoder", config.added_tokens_decoder ?? {});
  for (const [id, token] of Object.entries(decoder)) {
    const field = `added_tokens_decoder[${id}]`;
    add(file, field, { ...expectFields(file, field, token), id: Number(id) });
  }
  for (const [content, id] of Object.entries(addedIds)) {
    add("added_tokens.json", content, { ...plainAddedToken, content, id });
  }
  return [...collected.values()];
}

/** Inverts the vocabulary. Ids must be 0 ... n - 1, each once: they are rows of the embedding table. */
function tokensById(file: string, idOfToken: ReadonlyMap<string, number>): string[] {
  const tokens = new Array<string>(idOfToken.size);
  for (const [token, id] of idOfToken) {
    if (!Number.isInteger(id) || id < 0 || id >= idOfToken.size) {
      const expected = `an integer of 0 to ${idOfToken.size - 1}: ids have no gaps`;
      throw invalidField(file, `the id of ${JSON.stringify(token)}`, id, expected);
    }
    if (tokens[id] !== undefined) {
      const expected = `not the id of ${JSON.stringify(tokens[id])}`;
      throw invalidField(file, `the id of ${JSON.stringify(token)}`, id, expected);
    }
    tokens[id] = token;
  }
  return tokens;
}

function buildMergeTable(
  { file, mergesFile, merges }: TextModel,
  idOfToken: ReadonlyMap<string, number>,
): MergeTable {
  const byteIds = byteCharacters.map((character, byte) =>
    requireId(idOfToken, file, `the token of byte ${byte}`, character),
  );
  const rankOfPair = new Map<number, number>();
  const mergedIds = merges.map(([left, right], rank) => {
    const idOf = (token: string) =>
      idOfToken.get(token) ?? requireId(idOfToken, mergesFile, `merge ${rank}`, token);
    const key = pairKey(idOf(left), idOf(right));
    if (rankOfPair.has(key))
      throw invalidField(mergesFile, `merge ${rank}`, `${left} ${right}`, "a new pair");
    rankOfPair.set(key, rank);
    return idOf(left + right);
  });
  return { byteIds, rankOfPair, mergedIds };
}

function findLocations(file: string, addedTokens: readonly AddedToken[]): number {
  const ids = new Map(addedTokens.map((token) => [token.content, token.id]));
  const first = ids.get(locationContent(0)) ?? Number.NaN;
  for (let bin = 0; bin < LOCATION_BINS; bin++) {
    const content = locationContent(bin);
    if (ids.get(content) !== first + bin) {
      const expected = "1000 added tokens <loc_0> to <loc_999> with consecutive ids";
      throw invalidField(file, `the id of ${content}`, ids.get(content), expected);
    }
  }
  return first;
}

/** Special tokens are written as their text, or as an object with a `content`. */
function contentOf(token: unknown): string | undefined {
  const content = (token as { content?: unknown } | null | undefined)?.content ?? token;
  return typeof content === "string" ? content : undefined;
}
