import { Florence2Error, quote } from "../core/errors.ts";
import type { Files, Source } from "../files/files.ts";
import { buildTokenTrie, LOCATION_BINS, splitOnTokens, type TokenTrie } from "./added_tokens.ts";
import { bytePairEncode } from "./byte_pair_encoding.ts";
import { tokenBytes } from "./bytes.ts";
import { DecodeStream } from "./decode_stream.ts";
import { readTokenizerFiles, type TokenizerFiles } from "./files.ts";
import { pretokenize } from "./pretokenize.ts";
import { readVocabulary, type Vocabulary } from "./vocabulary.ts";

export type EncodeOptions = {
  /** Put `<s>` before the text and `</s>` behind it. Default true. */
  readonly addSpecialTokens?: boolean | undefined;
};

export type DecodeOptions = {
  /** Leave out special tokens, location tokens among them. Default false. */
  readonly skipSpecialTokens?: boolean | undefined;
  /**
   * Remove the space before punctuation and contractions, as older versions of transformers do by default.
   * Default false, whatever tokenizer_config.json says: transformers 5 ignores that flag for this tokenizer.
   */
  readonly cleanUpTokenizationSpaces?: boolean | undefined;
};

/** Text of a sequence of tokens, and the place of each token in it. */
export type DecodedTokens = {
  readonly text: string;
  /**
   * n + 1 offsets into `text` in UTF-16 units: token i is text.slice(offsets[i], offsets[i + 1]). A character
   * that is split over several tokens belongs to the one that completes it.
   */
  readonly offsets: readonly number[];
};

/**
 * The tokenizer of Florence-2: BART's byte-level byte-pair encoding with added tokens for the 1000 bins of
 * coordinates. Reference: tokenizers, with the files of the release.
 */
export class Tokenizer {
  readonly #vocabulary: Vocabulary;
  /** Added tokens are cut out of a text in two rounds. */
  readonly #rounds: readonly TokenTrie[];
  readonly #specialIds: ReadonlySet<number>;

  private constructor(vocabulary: Vocabulary) {
    const { addedTokens } = vocabulary;
    this.#vocabulary = vocabulary;
    this.#rounds = [
      buildTokenTrie(addedTokens.filter((token) => !token.normalized)),
      buildTokenTrie(addedTokens.filter((token) => token.normalized)),
    ];
    this.#specialIds = new Set(addedTokens.filter((token) => token.special).map((token) => token.id));
  }

  /**
   * Loads the tokenizer of a checkpoint: of its folder (a path, a `file:` or an http(s) URL), or of its files
   * by name. Throws `file_not_found`, `file_unreadable`, `tokenizer_invalid`.
   */
  static async fromPretrained(source: Source | Files): Promise<Tokenizer> {
    return Tokenizer.fromFiles(await readTokenizerFiles(source));
  }

  /** Makes a tokenizer of files that are already at hand. Throws `tokenizer_invalid`. */
  static fromFiles(files: TokenizerFiles): Tokenizer {
    return new Tokenizer(readVocabulary(files));
  }

  /** Number of tokens; ids are 0 to this number - 1. A model needs at least as many embeddings. */
  get vocabularySize(): number {
    return this.#vocabulary.tokens.length;
  }

  get bosId(): number {
    return this.#vocabulary.bosId;
  }

  get padId(): number {
    return this.#vocabulary.padId;
  }

  get eosId(): number {
    return this.#vocabulary.eosId;
  }

  get unkId(): number {
    return this.#vocabulary.unkId;
  }

  /**
   * Ids of a text. There is no limit of length and no unknown text: every byte has a token. Lone surrogates
   * become U+FFFD, as in TextEncoder. Throws `token_invalid` for anything but a string.
   *
   *     tokenizer.encode("What is the text in the image?")  // [0, 2264, 16, 5, 2788, 11, 5, 2274, 116, 2]
   */
  encode(text: string, { addSpecialTokens = true }: EncodeOptions = {}): number[] {
    if (typeof text !== "string") {
      throw new Florence2Error(
        "token_invalid",
        `text to encode is of type ${typeof text}, expected a string`,
      );
    }
    const { addPrefixSpace, merges, firstId, lastId } = this.#vocabulary;
    const ids = addSpecialTokens ? [firstId] : [];
    const wellFormed = text.replace(/\p{Surrogate}/gu, "\uFFFD");
    for (const segment of this.#cutAddedTokens(wellFormed)) {
      if (typeof segment === "number") {
        ids.push(segment);
        continue;
      }
      const ordinary = addPrefixSpace && !segment.startsWith(" ") ? ` ${segment}` : segment;
      for (const piece of pretokenize(ordinary)) {
        for (const id of bytePairEncode(utf8.encode(piece), merges)) ids.push(id);
      }
    }
    if (addSpecialTokens) ids.push(lastId);
    return ids;
  }

  /** Ids of added tokens and the ordinary text between them. */
  *#cutAddedTokens(text: string, round = 0): Generator<number | string> {
    const trie = this.#rounds[round];
    if (trie === undefined) {
      yield text;
      return;
    }
    for (const segment of splitOnTokens(trie, text)) {
      if (typeof segment === "string") yield* this.#cutAddedTokens(segment, round + 1);
      else yield segment.id;
    }
  }

  /**
   * Text of a sequence of ids. Bytes that are not UTF-8 become U+FFFD. An id beyond the vocabulary has no text:
   * a model may have more embeddings than its tokenizer has tokens, and transformers decodes such ids so.
   * Throws `token_invalid` for anything but whole numbers from 0 to 2^32 - 1.
   *
   *     tokenizer.decode([0, 133, 2274, 4, 2])                              // "<s>The image.</s>"
   *     tokenizer.decode([0, 133, 2274, 4, 2], { skipSpecialTokens: true }) // "The image."
   */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    const stream = this.decodeStream(options);
    let text = "";
    for (const id of ids) text += stream.push(id);
    text += stream.end();
    return options.cleanUpTokenizationSpaces ? cleanUpSpaces(text) : text;
  }

  /** Like `decode` with special tokens kept, and with the place of every token in the text. */
  decodeWithOffsets(ids: Iterable<number>): DecodedTokens {
    const stream = this.decodeStream();
    const offsets = [0];
    let text = "";
    for (const id of ids) {
      text += stream.push(id);
      offsets.push(text.length);
    }
    text += stream.end();
    // The end yields U+FFFD for an incomplete character, which belongs to the last token.
    if (offsets.length > 1) offsets[offsets.length - 1] = text.length;
    return { text, offsets };
  }

  /** A decoder for ids that arrive one by one. */
  decodeStream({ skipSpecialTokens = false }: Pick<DecodeOptions, "skipSpecialTokens"> = {}): DecodeStream {
    return new DecodeStream((id) => {
      if (!(Number.isInteger(id) && id >= 0 && id <= MAX_ID)) {
        const message = `token id is ${quote(id)}, expected a whole number from 0 to ${MAX_ID}`;
        throw new Florence2Error("token_invalid", message, { id });
      }
      const token = this.#vocabulary.tokens[id];
      const isLeftOut = token === undefined || (skipSpecialTokens && this.#specialIds.has(id));
      return isLeftOut ? noBytes : tokenBytes(token);
    });
  }

  /** Id of a token as the vocabulary writes it (`Ġthe`, `<loc_5>`), or undefined. */
  tokenToId(token: string): number | undefined {
    return this.#vocabulary.idOfToken.get(token);
  }

  /** Token of an id as the vocabulary writes it, or undefined. */
  idToToken(id: number): string | undefined {
    return this.#vocabulary.tokens[id];
  }

  /** Whether `skipSpecialTokens` leaves this id out. */
  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }

  /** Id of `<loc_bin>`, bin an integer of 0 to 999. Throws `token_invalid`. */
  locationToken(bin: number): number {
    if (!Number.isInteger(bin) || bin < 0 || bin >= LOCATION_BINS) {
      const message = `location bin is ${String(bin)}, expected an integer of 0 to ${LOCATION_BINS - 1}`;
      throw new Florence2Error("token_invalid", message, { bin });
    }
    return this.#vocabulary.firstLocationId + bin;
  }

  /** Bin of a location token, 0 to 999; undefined for any other id. */
  locationOf(id: number): number | undefined {
    const bin = id - this.#vocabulary.firstLocationId;
    return Number.isInteger(bin) && bin >= 0 && bin < LOCATION_BINS ? bin : undefined;
  }
}

const utf8 = new TextEncoder();
const noBytes = new Uint8Array(0);
/** Ids are u32 in the reference. */
const MAX_ID = 2 ** 32 - 1;

/** In this order; each loses the space that it begins with. */
const SPACED = [" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"];

/** The clean-up of transformers' tokenizers (clean_up_tokenization). */
function cleanUpSpaces(text: string): string {
  return SPACED.reduce((cleaned, spaced) => cleaned.replaceAll(spaced, spaced.trim()), text);
}
