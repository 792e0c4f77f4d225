import type { DecodeStream, Tokenizer } from "../tokenizer/index.ts";

/** The texts of an answer that arrives token by token. */
export class AnswerStream {
  readonly #tokenizer: Tokenizer;
  readonly #clean: DecodeStream;
  readonly #raw: DecodeStream;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
    this.#clean = tokenizer.decodeStream({ skipSpecialTokens: true });
    this.#raw = tokenizer.decodeStream();
  }

  /** Text without special and location tokens, and text without start, end and padding tokens. */
  push(tokens: readonly number[]): { readonly text: string; readonly rawText: string } {
    const { bosId, eosId, padId } = this.#tokenizer;
    let [text, rawText] = ["", ""];
    for (const id of tokens) {
      if (id === bosId || id === eosId || id === padId) continue;
      rawText += this.#raw.push(id);
      // A tokenizer that was saved again may list locations as ordinary tokens.
      if (this.#tokenizer.locationOf(id) === undefined) text += this.#clean.push(id);
    }
    return { text, rawText };
  }

  /** The rest: a character that was never completed. */
  end(): { readonly text: string; readonly rawText: string } {
    return { text: this.#clean.end(), rawText: this.#raw.end() };
  }
}
