import {
  expectFields,
  expectList,
  expectOneOf,
  expectText,
  type Fields,
  invalidField,
} from "./json_fields.ts";

/** A token of the template, with the id that the template gives it. */
export type TemplateToken = { readonly content: string; readonly id: unknown };

/** What the main file says; vocab.json and merges.txt count as one. */
export type TextModel = {
  /** The file to blame. */
  readonly file: "tokenizer.json" | "vocab.json";
  readonly idOfToken: ReadonlyMap<string, number>;
  readonly mergesFile: "tokenizer.json" | "merges.txt";
  readonly merges: readonly (readonly [string, string])[];
  readonly addPrefixSpace: boolean;
  /** The tokens put before and after a text. */
  readonly first: TemplateToken;
  readonly last: TemplateToken;
  /** Added tokens as tokenizer.json describes them, with field names for errors. */
  readonly addedTokens: readonly (readonly [string, Fields])[];
};

/** Reads a parsed tokenizer.json. Throws `tokenizer_invalid`. */
export function readTokenizerJson(root: Fields, config: Fields): TextModel {
  const file = "tokenizer.json";
  const model = expectFields(file, "model", root.model);
  const noText = ["", null, undefined];
  // The first release has no model.type; BPE was the only kind with merges then.
  expectOneOf(file, "model.type", model.type, ["BPE", undefined]);
  expectOneOf(file, "model.dropout", model.dropout, [null, undefined, 0]);
  expectOneOf(file, "model.ignore_merges", model.ignore_merges, [false, undefined]);
  expectOneOf(file, "model.continuing_subword_prefix", model.continuing_subword_prefix, noText);
  expectOneOf(file, "model.end_of_word_suffix", model.end_of_word_suffix, noText);
  expectOneOf(file, "normalizer", root.normalizer, [null, undefined]);

  const splitter = expectFields(file, "pre_tokenizer", root.pre_tokenizer);
  expectOneOf(file, "pre_tokenizer.type", splitter.type, ["ByteLevel"]);
  expectOneOf(file, "pre_tokenizer.use_regex", splitter.use_regex, [true, undefined]);
  const addPrefixSpace = splitter.add_prefix_space === true;
  expectOneOf("tokenizer_config.json", "add_prefix_space", config.add_prefix_space, [
    addPrefixSpace,
    undefined,
  ]);

  return {
    file,
    idOfToken: readIds(file, "model.vocab", expectFields(file, "model.vocab", model.vocab)),
    mergesFile: file,
    merges: expectList(file, "model.merges", model.merges).map((merge, rank) =>
      readMerge(file, () => `model.merges[${rank}]`, typeof merge === "string" ? merge.split(" ") : merge),
    ),
    addPrefixSpace,
    ...readTemplate(file, expectFields(file, "post_processor", root.post_processor)),
    addedTokens: expectList(file, "added_tokens", root.added_tokens ?? []).map((token, i) => [
      `added_tokens[${i}]`,
      expectFields(file, `added_tokens[${i}]`, token),
    ]),
  };
}

/** The tokens around a single text: `<s>` and `</s>` in every released file. */
function readTemplate(file: string, processor: Fields): Pick<TextModel, "first" | "last"> {
  expectOneOf(file, "post_processor.type", processor.type, ["RobertaProcessing", "TemplateProcessing"]);
  if (processor.type === "RobertaProcessing") {
    const token = (name: "cls" | "sep"): TemplateToken => {
      const [content, id] = expectList(file, `post_processor.${name}`, processor[name]);
      return { content: expectText(file, `post_processor.${name}[0]`, content), id };
    };
    return { first: token("cls"), last: token("sep") };
  }
  const parts = expectList(file, "post_processor.single", processor.single);
  const [first, text, last] = parts.map((part) => expectFields(file, "post_processor.single", part));
  if (parts.length !== 3 || text?.Sequence === undefined) {
    throw invalidField(file, "post_processor.single", parts, "one token, the sequence, one token");
  }
  const descriptions = expectFields(file, "post_processor.special_tokens", processor.special_tokens);
  const token = (part: Fields | undefined): TemplateToken => {
    const { id: content } = expectFields(file, "post_processor.single", part?.SpecialToken);
    const name = expectText(file, "post_processor.single", content);
    const field = `post_processor.special_tokens[${name}]`;
    const { ids } = expectFields(file, field, descriptions[name]);
    return { content: name, id: expectList(file, `${field}.ids`, ids)[0] };
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
export function readVocabAndMerges(vocab: Fields, mergesText: string, config: Fields): TextModel {
  const file = "vocab.json";
  expectOneOf("tokenizer_config.json", "add_prefix_space", config.add_prefix_space, [true, false, undefined]);
  const idOfToken = readIds(file, "vocab", vocab);
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
      .map((line, i) => readMerge("merges.txt", () => `line ${firstMerge + i + 1}`, line.split(" "))),
    addPrefixSpace: config.add_prefix_space === true,
    first: token("<s>"),
    last: token("</s>"),
    addedTokens: bartSpecialTokens
      .filter(({ content }) => idOfToken.has(content))
      .map((special) => [special.content, { ...special, id: idOfToken.get(special.content) }]),
  };
}

/** @param field its name, which takes longer to make up than the merge to read */
function readMerge(file: string, field: () => string, parts: unknown): readonly [string, string] {
  const isPair =
    Array.isArray(parts) && parts.length === 2 && parts.every((part) => part && typeof part === "string");
  if (isPair) return parts as unknown as readonly [string, string];
  throw invalidField(file, field(), parts, "two tokens");
}

/** A Map, because a token may be called "__proto__" or "constructor". */
function readIds(file: string, field: string, vocab: Fields): Map<string, number> {
  const ids = new Map<string, number>();
  for (const token of Object.keys(vocab)) {
    const id = vocab[token];
    if (typeof id !== "number")
      throw invalidField(file, `${field}[${JSON.stringify(token)}]`, id, "a number");
    ids.set(token, id);
  }
  return ids;
}
