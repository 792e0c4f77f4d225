/** Measures of tasks that answer with text. */
import { plainText } from "../model/tasks/index.ts";
import type { Measure } from "./measure.ts";
import { bleu } from "./metrics/bleu.ts";
import { ciderD } from "./metrics/cider.ts";
import { mean } from "./metrics/mean.ts";
import { captionTokens } from "./metrics/ptb_tokens.ts";
import { characterErrorRate, wordErrorRate } from "./metrics/texts.ts";
import { vqaAccuracy } from "./metrics/vqa.ts";

export const captions: Measure<readonly string[], string> = {
  judge(cases) {
    const tokens = cases.map(({ truth, answer }) => ({
      hypothesis: captionTokens(plainText(answer)),
      references: truth.map(captionTokens),
    }));
    const { score, perCase } = ciderD(tokens);
    return {
      figures: { "CIDEr-D": score, "BLEU-4": bleu(tokens).scores[3]! },
      distribution: { name: "CIDEr-D", values: perCase },
    };
  },
};

export const reading: Measure<string, string> = {
  judge(cases) {
    const texts = cases.map(({ truth, answer }) => ({ truth, found: plainText(answer) }));
    return {
      figures: {
        "character error rate": characterErrorRate(texts),
        "word error rate": wordErrorRate(texts),
        "exact match": mean(texts.map(({ truth, found }) => (truth === found ? 1 : 0))),
      },
    };
  },
};

export const category: Measure<string, string> = {
  judge: (cases) => ({ figures: { "exact match": exactMatch(cases) } }),
};

/** Prompts of fine-tuned models: a text to be met exactly, or a question that several people answered. */
export const freePrompt: Measure<string | readonly string[], string> = {
  judge(cases) {
    const answered = cases.flatMap(({ truth, answer }) =>
      typeof truth === "string" ? [] : [{ prediction: plainText(answer), answers: truth }],
    );
    const single = cases.flatMap(({ truth, answer }) =>
      typeof truth === "string" ? [{ truth, answer }] : [],
    );
    return {
      figures: {
        ...(answered.length > 0 && { "VQA accuracy": vqaAccuracy(answered).accuracy }),
        ...(single.length > 0 && { "exact match": exactMatch(single) }),
      },
    };
  },
};

function exactMatch(cases: readonly { readonly truth: string; readonly answer: string }[]): number {
  return mean(cases.map(({ truth, answer }) => (plainText(answer) === truth.trim() ? 1 : 0)));
}
