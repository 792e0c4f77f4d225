import type { ImageSize } from "../datasets/geometry/masks.ts";
import type { Bin } from "./metrics/reliability.ts";

/** A prompt's answer beside its truth. */
export interface Case<Truth, Answer> {
  readonly truth: Truth;
  readonly answer: Answer;
  /** Of the image, in pixels. */
  readonly size: ImageSize;
}

/** The findings of an evaluation of one task. */
export interface Findings {
  /** By name; NaN where there was nothing to measure. */
  readonly figures: Readonly<Record<string, number>>;
  /** A figure of each prompt. */
  readonly distribution?: { readonly name: string; readonly values: readonly number[] };
  /** Precision at 101 recalls from 0 to 1, IoU 0.5, by ranking. */
  readonly precisions?: Readonly<Record<string, readonly number[]>>;
  readonly reliability?: readonly Bin[];
}

/** How the answers to a task are judged. */
export interface Measure<Truth = unknown, Answer = unknown> {
  judge(cases: readonly Case<Truth, Answer>[]): Findings;
}
