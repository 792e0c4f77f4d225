import {
  type Field,
  hasMember,
  invalid,
  items,
  member,
  named,
  object,
  oneOf,
  only,
  text,
} from "../files/fields.ts";
import type { JsonValue } from "../files/json.ts";

/** A token of the template, with the id that the template gives it. */
export type TemplateToken = { readonly content: string; readonly id: JsonValue | undefined };

/** The contents of the main file; vocab.json and merges.txt count as one. */
export type TextModel = {
  /** The file that errors name. */
  readonly file: Field;
  readonly idOfToken: ReadonlyMap<string, number>;
  readonly mergesFile: "tokenizer.json" | "merges.txt";
  readonly merges: readonly (readonly [string, string])[];
  readonly addPrefixSpace: boolean;
  /** The tokens put before and after a text. */
  readonly first: TemplateToken;
  readonly last: TemplateToken;
  /** Added tokens as tokenizer.json describes them. */
  readonly addedTokens: readonly Field[];
};

/** Reads a parsed tokenizer.json. Throws `tokenizer_invalid`. */
export function readTokenizerJson(file: Field, config: Field): TextModel {
  const model = member(file, "model");
  const noText = ["", null];
  // The first release has no model.type; BPE was the only kind with merges then.
  only(member(model, "type"), ["BPE"]);
  only(member(model, "dropout"), [null, 0]);
  only(member(model, "ignore_merges"), [false]);
  only(member(model, "continuing_subword_prefix"), noText);
  only(member(model, "end_of_word_suffix"), noText);
  only(member(file, "normalizer"), [null]);

  const splitter = member(file, "pre_tokenizer");
  oneOf(member(splitter, "type"), ["ByteLevel"]);
  only(member(splitter, "use_regex"), [true]);
  const addPrefixSpace = member(splitter, "add_prefix_space").value === true;
  only(member(config, "add_prefix_space"), [addPrefixSpace]);

  const addedTokens = member(file, "added_tokens");
  const merges = member(model, "merges");
  if (!Array.isArray(merges.value)) throw invalid(merges, "a list");
  return {
    file,
    idOfToken: readIds(member(model, "vocab")),
    mergesFile: "tokenizer.json",
    merges: merges.value.map((merge, rank) =>
      readMerge(() => `${merges.where}[${rank}]`, typeof merge === "string" ? merge.split(" ") : merge),
    ),
    addPrefixSpace,
    ...readTemplate(member(file, "post_processor")),
    addedTokens: hasMember(file, "added_tokens") ? items(addedTokens) : [],
  };
}

/** The tokens around a single text: `<s>` and `</s>` in every released file. */
function readTemplate(processor: Field): Pick<TextModel, "first" | "last"> {
  const type = oneOf(member(processor, "type"), ["RobertaProcessing", "TemplateProcessing"]);
  if (type === "RobertaProcessing") {
    const token = (name: "cls" | "sep"): TemplateToken => {
      const field = member(processor, name);
      const [content, id] = items(field);
      return { content: text(content ?? field), id: id?.value };
    };
    return { first: token("cls"), last: token("sep") };
  }
  const single = member(processor, "single");
  const [first, sequence, last, ...others] = items(single);
  if (others.length > 0 || !first || !last || !sequence || !hasMember(sequence, "Sequence")) {
    throw invalid(single, "one token, the sequence, one token");
  }
  const descriptions = member(processor, "special_tokens");
  const token = (part: Field): TemplateToken => {
    const content = text(member(member(part, "SpecialToken"), "id"));
    const [id] = items(member(member(descriptions, content), "ids"));
    return { content, id: id?.value };
  };
  return { first: token(first), last: token(last) };
}

/** The switches of most added tokens. */
export const plainAddedToken = { special: true, lstrip: false, rstrip: false, normalized: false };

/** BART's special tokens, which vocab.json lists among the ordinary ones. */
const bartSpecialTokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"].map((content) => ({
  ...plainAddedToken,
  content,
  lstrip: content === "<mask>",
  normalized: true,
}));

/** Reads a parsed vocab.json and the text of merges.txt. Throws `tokenizer_invalid`. */
export function readVocabAndMerges(file: Field, mergesText: string, config: Field): TextModel {
  only(member(config, "add_prefix_space"), [true, false]);
  const idOfToken = readIds(file);
  const lines = mergesText
    .replace(/^\uFEFF/, "")
    .trimEnd()
    .split(/\r?\n/);
  // Only the first line can be a comment: later ones that begin with "#" are merges.
  const firstMerge = lines[0]?.startsWith("#version") ? 1 : 0;
  const token = (content: string): TemplateToken => ({ content, id: idOfToken.get(content) });
  return {
    file,
    idOfToken,
    mergesFile: "merges.txt",
    merges: lines
      .slice(firstMerge)
      .map((line, i) => readMerge(() => `merges.txt: line ${firstMerge + i + 1}`, line.split(" "))),
    addPrefixSpace: object(config).add_prefix_space === true,
    first: token("<s>"),
    last: token("</s>"),
    addedTokens: bartSpecialTokens
      .filter(({ content }) => idOfToken.has(content))
      .map((special) => named(file, special.content, { ...special, id: idOfToken.get(special.content)! })),
  };
}

/** @param where its place in the file, made up for an error only: there are tens of thousands of merges */
function readMerge(where: () => string, parts: JsonValue): readonly [string, string] {
  const isPair =
    Array.isArray(parts) && parts.length === 2 && parts.every((part) => part && typeof part === "string");
  if (isPair) return parts as [string, string];
  throw invalid({ where: where(), value: parts, code: "tokenizer_invalid" }, "two tokens");
}

/** A Map, because a token may be called "__proto__" or "constructor". */
function readIds(vocab: Field): Map<string, number> {
  const ids = new Map<string, number>();
  for (const [token, id] of Object.entries(object(vocab))) {
    if (typeof id !== "number") throw invalid(member(vocab, token), "a number");
    ids.set(token, id);
  }
  return ids;
}
