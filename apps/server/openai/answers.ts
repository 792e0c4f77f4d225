/** One thing that an answer names, whatever its task. */
export interface FoundObject {
  readonly label: string;
  /** x1, y1, x2, y2 in pixels of the upright image. */
  readonly box: readonly [number, number, number, number];
  /** Confidence, 0 to 1. */
  readonly score: number | null;
  /** The corners of a line of text: x, y, four times. */
  readonly quad?: readonly number[];
  /** The parts of a mask: x, y, ... each. */
  readonly polygon?: readonly (readonly number[])[];
}

interface AnyAnswer {
  readonly bboxes?: readonly (readonly number[])[];
  readonly labels?: readonly string[];
  readonly bboxes_labels?: readonly string[];
  readonly scores?: readonly number[];
  readonly quad_boxes?: readonly (readonly number[])[];
  readonly polygons?: readonly (readonly (readonly number[])[])[];
  readonly polygons_labels?: readonly string[];
  readonly polygons_scores?: readonly number[];
}

/** All things of an answer in one form; an answer in words has none. */
export function objectsOf(answer: unknown): FoundObject[] {
  if (typeof answer !== "object" || answer === null) return [];
  const { bboxes = [], quad_boxes: quads = [], polygons = [], ...found } = answer as AnyAnswer;
  const isBoth = found.bboxes_labels !== undefined;
  const labels = found.labels ?? found.bboxes_labels ?? [];
  const maskLabels = (isBoth ? found.polygons_labels : found.labels) ?? [];
  const maskScores = isBoth ? found.polygons_scores : found.scores;
  return [
    ...bboxes.map((box, i) => ({
      ...named(labels[i], found.scores?.[i]),
      box: box as unknown as FoundObject["box"],
    })),
    ...quads.map((quad, i) => ({ ...named(labels[i], found.scores?.[i]), box: around([quad]), quad })),
    ...polygons
      .map((polygon, i) => ({ ...named(maskLabels[i], maskScores?.[i]), box: around(polygon), polygon }))
      .filter(({ polygon }) => polygon.some(({ length }) => length > 0)),
  ];
}

// The published parser leaves the start of the text in the first label.
const named = (label = "", score?: number) => ({ label: label.replace("</s>", ""), score: score ?? null });

/** The smallest box around outlines of x, y, ... */
function around(outlines: readonly (readonly number[])[]): FoundObject["box"] {
  const points = outlines.flat();
  const xs = points.filter((_, i) => i % 2 === 0);
  const ys = points.filter((_, i) => i % 2 === 1);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** Answers about regions repeat the region's location tags behind the words. */
const LOCATION = /<loc_\d+>/g;

/** What a person reads: the words, or a line for each thing found, `label (x1, y1, x2, y2) 0.93`. */
export function readableText(answer: unknown): string {
  if (typeof answer === "string") return answer.replace(LOCATION, "").trim();
  return objectsOf(answer)
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

  /** What can be sent now; `isStopped` when a stop sequence ended the text. */
  push(part: string): { readonly text: string; readonly isStopped: boolean } {
    this.#whole = (this.#whole + part.replace(LOCATION, "")).trimStart();
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
