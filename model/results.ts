/** What the model answers: types, and how decoded tokens become a result. */
import type { Tokenizer } from "../tokenizer/index.ts";
import type { GeneratedSequence } from "./generation/report.ts";
import type { PreparedQuestion } from "./questions.ts";
import { type AnswerOf, decodeGenerated, type ParseOptions, parseAnswer, type Task } from "./tasks/index.ts";

export interface Sequence {
  /** As generated, special tokens kept. */
  readonly text: string;
  /** With the start token and the end token. */
  readonly tokens: readonly number[];
  /** Sum of the log-probabilities over (new tokens)^lengthPenalty. */
  readonly score: number;
  /** One for each new token; 0 for forced ones. */
  readonly logProbs: readonly number[];
  /** `length` if `maxNewTokens` ended the answer. */
  readonly finishReason: "stop" | "length";
}

export interface Result<A> extends Sequence {
  /** The parsed answer, in the shape that the task's name stands for. */
  readonly answer: A;
  /** The picture as seen, in pixels: what coordinates refer to. */
  readonly width: number;
  readonly height: number;
  /** All `numReturnSequences` sequences, best first; the first is this result's own. */
  readonly sequences: readonly Sequence[];
}

/** A piece of an answer that later steps do not change. */
export interface StreamPart<A> {
  /** Without start, end and padding tokens; location tokens are kept. */
  readonly text: string;
  readonly tokens: readonly number[];
  /** The whole, with the last part. */
  readonly result?: Result<A>;
}

/** The result of a question whose answers are decoded, best first. */
export function resultOf<T extends string>(
  tokenizer: Tokenizer,
  { task, width, height }: Pick<PreparedQuestion, "task" | "width" | "height">,
  generated: readonly GeneratedSequence[],
  options: ParseOptions,
): Result<AnswerOf<T>> {
  const sequences = generated.map((sequence) => ({ ...sequence, text: tokenizer.decode(sequence.tokens) }));
  const [best] = sequences;
  const scored = decodeGenerated(tokenizer, best!.tokens, best!.logProbs);
  const size = { width, height };
  const answer = parseAnswer(task as Task<string, AnswerOf<T>>, scored, size, options);
  return { ...best!, answer, ...size, sequences };
}
