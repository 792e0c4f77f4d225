import type { Answered, Sequence } from "../engine/engine.ts";
import type { AskedImage } from "./ask.ts";

/** Tokens generated for all sequences. */
export const countTokens = (sequences: readonly Sequence[]): number =>
  sequences.reduce((sum, { tokenCount }) => sum + tokenCount, 0);

export const sumOf = (answers: readonly Answered[], field: "promptTokens" | "imageTokens"): number =>
  answers.reduce((sum, answered) => sum + answered[field], 0);

/** Tokens of all answers about one image. It is encoded once: for further questions its tokens count as cached. */
export function usageOf(image: AskedImage, answers: readonly Answered[]) {
  const [prompt, imageTokens] = [sumOf(answers, "promptTokens"), sumOf(answers, "imageTokens")];
  const completion = answers.reduce((sum, { sequences }) => sum + countTokens(sequences), 0);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: {
      cached_tokens: image.isCached ? imageTokens : imageTokens - image.tokens,
      image_tokens: imageTokens,
      text_tokens: prompt - imageTokens,
      audio_tokens: 0,
    },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}
