import type { Sequence } from "../engine/engine.ts";

/** An answer for people: its text, or a line for each object, `label (x1, y1, x2, y2) 0.93`. */
export function readableText({
  answer,
  objects,
  text,
}: Pick<Sequence, "answer" | "objects" | "text">): string {
  if (typeof answer === "string") return text.trim();
  return objects
    .map(({ label, box, score }) => {
      const place = `(${box.map(Math.round).join(", ")})`;
      return [label, place, score?.toFixed(2)].filter(Boolean).join(" ");
    })
    .join("\n");
}

/**
 * Pieces of generated text as pieces of the readable text. Space at the end is held back, since the end of the
 * whole has none, and so is what might be the beginning of a stop sequence.
 */
export class ReadableStreamText {
  readonly #stops: readonly string[];
  #whole = "";
  #sent = 0;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** The text to send now; `isStopped` when a stop sequence ended it. */
  push(part: string): { readonly text: string; readonly isStopped: boolean } {
    this.#whole = (this.#whole + part).trimStart();
    const { text, isStopped } = cutAtStop(this.#whole, this.#stops);
    const held = isStopped ? text.trimEnd() : this.#certain(text.trimEnd());
    return { text: this.#send(held), isStopped };
  }

  /** The rest, given the whole. */
  end(whole: string): string {
    return this.#send(whole);
  }

  #certain(text: string): string {
    const longest = Math.max(0, ...this.#stops.map(({ length }) => length - 1));
    return text.slice(0, Math.max(this.#sent, text.length - longest));
  }

  #send(text: string): string {
    const rest = text.slice(this.#sent);
    this.#sent = Math.max(this.#sent, text.length);
    return rest;
  }
}

/** Text up to the first stop sequence in it. */
export function cutAtStop(text: string, stops: readonly string[]): { text: string; isStopped: boolean } {
  const places = stops.map((stop) => (stop ? text.indexOf(stop) : -1)).filter((at) => at >= 0);
  if (places.length === 0) return { text, isStopped: false };
  return { text: text.slice(0, Math.min(...places)), isStopped: true };
}
