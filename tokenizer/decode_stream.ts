/** Turns ids into text as they arrive. Bytes of a character that is not complete yet are held back. */
export class DecodeStream {
  readonly #bytesOf: (id: number) => Uint8Array;
  // A byte order mark is text here like any other.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  /** @param bytesOf bytes of a token; none for a token that is left out */
  constructor(bytesOf: (id: number) => Uint8Array) {
    this.#bytesOf = bytesOf;
  }

  /** The text that this id completes, "" while a character is incomplete. Throws `token_invalid`. */
  push(id: number): string {
    return this.#decoder.decode(this.#bytesOf(id), { stream: true });
  }

  /** The rest: U+FFFD for an incomplete character. The stream then begins anew. */
  end(): string {
    return this.#decoder.decode();
  }
}
