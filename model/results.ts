/** Answers of the model: types, and how decoded tokens become a result. */
import type { Tokenizer } from "../tokenizer/index.ts";
import type { GeneratedSequence } from "./generation/report.ts";
import type { AskedTask, PreparedQuestion } from "./questions.ts";
import {
  type AnswerOf,
  type DetectedObject,
  decodeGenerated,
  type ParseOptions,
  readAnswer,
  summaryOf,
  type Task,
} from "./tasks/index.ts";

export interface Sequence<Answer = unknown> {
  /** The answer, in the shape of its task. */
  readonly answer: Answer;
  /** The objects that it locates, in pixels; empty for an answer in words. */
  readonly objects: readonly DetectedObject[];
  /** For people: the answer in words, without special and location tokens, or the labels of its objects, one a line. */
  readonly text: string;
  /** As generated, with special and location tokens: what `parseAnswer` reads. */
  readonly rawText: string;
  /** With the start token and the end token. */
  readonly tokens: readonly number[];
  /** Sum of the log-probabilities over (new tokens)^lengthPenalty. */
  readonly score: number;
  /** One for each new token; 0 for forced ones. */
  readonly logProbs: readonly number[];
  /** `length` if `maxNewTokens` ended the answer. */
  readonly finishReason: "stop" | "length";
}

export interface Result<Answer = unknown> extends Sequence<Answer> {
  /** The image as seen, in pixels: coordinates refer to it. */
  readonly width: number;
  readonly height: number;
  /**
   * All `numReturnSequences` sequences, best first; the first is this result's own. Of a list of texts, those of
   * each text in turn; the result's own answer joins their best ones.
   */
  readonly sequences: readonly Sequence<Answer>[];
}

/** A piece of an answer that later steps do not change. */
export interface StreamPart<Answer = unknown> {
  /** For people: without special and location tokens. */
  readonly text: string;
  /** Without start, end and padding tokens; location tokens are kept. */
  readonly rawText: string;
  readonly tokens: readonly number[];
  /** The whole, with the last part. */
  readonly result?: Result<Answer>;
}

/** A question of which only the decoded tokens are read. */
type Decoded = Pick<PreparedQuestion, "task" | "text" | "isListed" | "width" | "height">;

/**
 * The result of a question, or of a list of questions that differ in their texts.
 *
 * @param generated for each question its decoded sequences, best first
 */
export function resultOf<T extends AskedTask>(
  tokenizer: Tokenizer,
  questions: readonly Decoded[],
  generated: readonly (readonly GeneratedSequence[])[],
  options: ParseOptions,
): Result<AnswerOf<T>> {
  const results = questions.map((question, i) => resultOfOne<T>(tokenizer, question, generated[i]!, options));
  return questions[0]!.isListed ? joinResults<T>(questions, results) : results[0]!;
}

function resultOfOne<T extends AskedTask>(
  tokenizer: Tokenizer,
  { task, width, height }: Decoded,
  generated: readonly GeneratedSequence[],
  options: ParseOptions,
): Result<AnswerOf<T>> {
  const size = { width, height };
  const sequences = generated.map(({ masses, ...sequence }) => {
    const decoded = decodeGenerated(tokenizer, sequence.tokens, sequence.logProbs, masses);
    const read = readAnswer(task as Task<string, AnswerOf<T>>, decoded, size, options);
    return { ...read, rawText: decoded.text, ...sequence };
  });
  return { ...sequences[0]!, ...size, sequences };
}

/**
 * The result of several texts that one task was asked about: the answers joined, the tokens and log-probabilities one
 * after another, the mean of the scores.
 */
function joinResults<T extends AskedTask>(
  questions: readonly Decoded[],
  results: readonly Result<AnswerOf<T>>[],
): Result<AnswerOf<T>> {
  const { task, width, height } = questions[0]!;
  const own = task as Task<string, AnswerOf<T>>;
  const answer = own.merge!(
    results.map((result, i) => ({ text: questions[i]!.text!, answer: result.answer })),
  );
  const rawText = results.map((result) => result.rawText).join("\n");
  return {
    answer,
    ...summaryOf(own, answer, rawText),
    rawText,
    tokens: results.flatMap(({ tokens }) => tokens),
    score: results.reduce((sum, { score }) => sum + score, 0) / results.length,
    logProbs: results.flatMap(({ logProbs }) => logProbs),
    finishReason: results.some(({ finishReason }) => finishReason === "length") ? "length" : "stop",
    width,
    height,
    sequences: results.flatMap(({ sequences }) => sequences),
  };
}
