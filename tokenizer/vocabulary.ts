import { Florence2Error, quote } from "../core/errors.ts";
import {
  type Field,
  hasMember,
  invalid,
  member,
  named,
  number,
  object,
  oneOf,
  only,
  text,
  wholeFile,
} from "../files/fields.ts";
import { type JsonValue, parseJson } from "../files/json.ts";
import { type AddedToken, florenceTokens, LOCATION_BINS, locationContent } from "./added_tokens.ts";
import { type MergeTable, pairKey } from "./byte_pair_encoding.ts";
import { byteCharacters } from "./bytes.ts";
import type { TokenizerFiles } from "./files.ts";
import {
  plainAddedToken,
  readTokenizerJson,
  readVocabAndMerges,
  type TemplateToken,
  type TextModel,
} from "./text_model.ts";

/** The checked contents of a tokenizer's files. */
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
 * does; a self-contained tokenizer.json, with or without `<image>`; vocab.json with merges.txt. Settings that
 * this tokenizer does not implement are refused. Throws `tokenizer_invalid`.
 */
export function readVocabulary(files: TokenizerFiles): Vocabulary {
  const { "tokenizer.json": tokenizerJson, "merges.txt": mergesText, ...others } = files;
  const config = open("tokenizer_config.json", others["tokenizer_config.json"] ?? {});
  const specialTokens = open("special_tokens_map.json", others["special_tokens_map.json"] ?? {});
  const addedIds = open("added_tokens.json", others["added_tokens.json"] ?? {});

  let model: TextModel;
  if (tokenizerJson !== undefined) {
    model = readTokenizerJson(open("tokenizer.json", tokenizerJson), config);
  } else if (others["vocab.json"] !== undefined && typeof mergesText === "string") {
    model = readVocabAndMerges(open("vocab.json", others["vocab.json"]), mergesText, config);
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

  const specialId = (name: string, usual: string) => {
    const given = contentOf(member(specialTokens, name)) ?? contentOf(member(config, name));
    return requireId(idOfToken, named(file, name, given ?? usual));
  };
  const templateId = ({ content, id }: TemplateToken) => {
    const known = requireId(idOfToken, named(file, "post_processor", content));
    return oneOf(named(file, `post_processor's id of ${content}`, id), [known]);
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

/** A file, given as text or already parsed. */
function open(file: string, given: unknown): Field {
  const code = "tokenizer_invalid";
  const value = typeof given === "string" ? parseJson(given.replace(/^\uFEFF/, ""), file, code) : given;
  const whole = wholeFile(file, value as JsonValue, code);
  object(whole);
  return whole;
}

/** Added tokens of all files that list some. They must agree on ids; the first to name a token describes it. */
function collectAddedTokens(model: TextModel, config: Field, addedIds: Field): AddedToken[] {
  const collected = new Map<string, AddedToken>();
  const add = (file: Field, token: Field) => {
    const flag = (name: string) => member(token, name).value;
    const content = text(member(token, "content"));
    if (content === "") throw invalid(member(token, "content"), "a text that is not empty");
    const id = number(member(token, "id"));
    const known = collected.get(content)?.id ?? model.idOfToken.get(content) ?? id;
    if (id !== known) throw invalid(named(file, `the id of ${content}`, id), `${known}`);
    only(member(token, "single_word"), [false]);
    if (collected.has(content)) return;
    collected.set(content, {
      id,
      content,
      special: flag("special") !== false,
      lstrip: flag("lstrip") === true,
      rstrip: flag("rstrip") === true,
      normalized: flag("normalized") === true,
    });
  };

  for (const token of model.addedTokens) add(model.file, token);
  const decoder = member(config, "added_tokens_decoder");
  if (decoder.value !== undefined && decoder.value !== null) {
    for (const id of Object.keys(object(decoder))) {
      const token = member(decoder, id);
      add(config, { ...token, value: { ...object(token), id: Number(id) } });
    }
  }
  for (const [content, id] of Object.entries(object(addedIds))) {
    add(addedIds, named(addedIds, content, { ...plainAddedToken, content, id }));
  }
  return [...collected.values()];
}

/** Inverts the vocabulary. Ids must be 0 ... n - 1, each once: they are rows of the embedding table. */
function tokensById(file: Field, idOfToken: ReadonlyMap<string, number>): string[] {
  const tokens = new Array<string>(idOfToken.size);
  for (const [token, id] of idOfToken) {
    const field = () => named(file, `the id of ${quote(token)}`, id);
    if (!Number.isInteger(id) || id < 0 || id >= idOfToken.size) {
      throw invalid(field(), `an integer of 0 to ${idOfToken.size - 1}: ids have no gaps`);
    }
    if (tokens[id] !== undefined) throw invalid(field(), `not the id of ${quote(tokens[id])}`);
    tokens[id] = token;
  }
  return tokens;
}

function buildMergeTable(
  { file, mergesFile, merges }: TextModel,
  idOfToken: ReadonlyMap<string, number>,
): MergeTable {
  const mergesField = wholeFile(mergesFile, undefined, "tokenizer_invalid");
  const byteIds = byteCharacters.map((character, byte) =>
    requireId(idOfToken, named(file, `the token of byte ${byte}`, character)),
  );
  const rankOfPair = new Map<number, number>();
  const mergedIds = merges.map(([left, right], rank) => {
    const idOf = (token: string) =>
      idOfToken.get(token) ?? requireId(idOfToken, named(mergesField, `merge ${rank}`, token));
    const key = pairKey(idOf(left), idOf(right));
    if (rankOfPair.has(key)) {
      throw invalid(named(mergesField, `merge ${rank}`, `${left} ${right}`), "a new pair");
    }
    rankOfPair.set(key, rank);
    return idOf(left + right);
  });
  return { byteIds, rankOfPair, mergedIds };
}

function findLocations(file: Field, addedTokens: readonly AddedToken[]): number {
  const ids = new Map(addedTokens.map((token) => [token.content, token.id]));
  const first = ids.get(locationContent(0)) ?? Number.NaN;
  for (let bin = 0; bin < LOCATION_BINS; bin++) {
    const content = locationContent(bin);
    if (ids.get(content) !== first + bin) {
      const expected = "1000 added tokens <loc_0> to <loc_999> with consecutive ids";
      throw invalid(named(file, `the id of ${content}`, ids.get(content)), expected);
    }
  }
  return first;
}

/** Id of the token that a field names. */
function requireId(idOfToken: ReadonlyMap<string, number>, field: Field): number {
  const id = idOfToken.get(text(field));
  if (id === undefined) throw invalid(field, "a token of the vocabulary");
  return id;
}

/** Special tokens are written as their text, or as an object with a `content`. */
function contentOf(token: Field): string | undefined {
  const content = hasMember(token, "content") ? member(token, "content").value : token.value;
  return typeof content === "string" ? content : undefined;
}
