/** Turns ids into text as they arrive. Bytes of a character that is not complete yet are held back. */
export class DecodeStream {
  readonly #bytesOf: (id: number) => Uint8Array;
  // A byte order mark is text here like any other.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  /** @param bytesOf what a token contributes; empty for one that is left out */
  constructor(bytesOf: (id: number) => Uint8Array) {
    this.#bytesOf = bytesOf;
  }

  /** The text that this id completes, "" if a character is still open. Throws `token_invalid`. */
  push(id: number): string {
    return this.#decoder.decode(this.#bytesOf(id), { stream: true });
  }

  /** The rest: U+FFFD for a character that was never completed. The stream is then as new. */
  end(): string {
    return this.#decoder.decode();
  }
}
