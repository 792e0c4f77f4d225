import { Transform, type TransformCallback } from "node:stream";

const [QUOTE, BACKSLASH, LETTER_U, NEWLINE] = [0x22, 0x5c, 0x75, 0x0a];
const HEX_DIGITS = 4;

export interface LineBounds {
  /** Bytes of a string between its quotes, as it is written; what is longer is cut there. */
  readonly maxString: number;
  /** Bytes of a line, after its strings were cut; what is longer is left out. */
  readonly maxLine: number;
  /** Hears of a line that was left out. */
  readonly onLeftOut: () => void;
}

/**
 * Lines of JSON, bounded and each in one piece. A string that is too long is cut but stays valid, so that a too large
 * image becomes an error of its call and not the end of the connection.
 */
export class BoundedLines extends Transform {
  readonly #bounds: LineBounds;
  readonly #strings: StringCutter;
  #parts: Buffer[] = [];
  #length = 0;

  constructor(bounds: LineBounds) {
    super({ readableObjectMode: true });
    this.#bounds = bounds;
    this.#strings = new StringCutter(bounds.maxString);
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: TransformCallback): void {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      this.#take(chunk.subarray(from, end));
      this.#endLine();
      from = end + 1;
    }
    this.#take(chunk.subarray(from));
    done();
  }

  #take(part: Buffer): void {
    for (const kept of this.#strings.cut(part)) {
      this.#length += kept.length;
      if (this.#length <= this.#bounds.maxLine) this.#parts.push(kept);
      else this.#parts = [];
    }
  }

  #endLine(): void {
    if (this.#length <= this.#bounds.maxLine) this.push(Buffer.concat([...this.#parts, Buffer.from("\n")]));
    else this.#bounds.onLeftOut();
    this.#parts = [];
    this.#length = 0;
    // No string of JSON goes on in the next line.
    this.#strings.reset();
  }
}

/** Cuts long strings out of JSON that comes in parts. */
class StringCutter {
  readonly #maxBytes: number;
  #isInside = false;
  /** Bytes of the string so far. */
  #length = 0;
  /** Bytes that an escape sequence still has. */
  #escape = 0;
  #isCut = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  reset(): void {
    this.#isInside = this.#isCut = false;
    this.#escape = 0;
  }

  /** What of a part stays. */
  *cut(part: Buffer): Generator<Buffer, void> {
    let start = 0;
    for (let at = 0; at < part.length; at++) {
      const wasCut = this.#isCut;
      this.#read(part[at]!);
      if (this.#isCut && !wasCut) yield part.subarray(start, at);
      if (wasCut && !this.#isCut) start = at;
    }
    if (!this.#isCut) yield part.subarray(start);
  }

  #read(byte: number): void {
    if (!this.#isInside) {
      this.#isInside = byte === QUOTE;
      this.#length = 0;
      return;
    }
    if (this.#escape > 0) this.#escape = byte === LETTER_U ? HEX_DIGITS : this.#escape - 1;
    else if (byte === QUOTE) this.reset();
    else {
      // Neither an escape sequence nor a character of UTF-8 is cut in two.
      this.#isCut ||= this.#length >= this.#maxBytes && !isContinuation(byte);
      if (byte === BACKSLASH) this.#escape = 1;
    }
    this.#length++;
  }
}

const isContinuation = (byte: number) => (byte & 0xc0) === 0x80;
