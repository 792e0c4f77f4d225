import type { DataSet, Prompt } from "./data_set.ts";
import type { TrueBoxes } from "./truth.ts";

const DETECTION = "<OPEN_VOCABULARY_DETECTION>";
const GROUNDING = "<CAPTION_TO_PHRASE_GROUNDING>";

/** Ways to ask for what is not there: the task that asks, and the task whose truth says what is there. */
export const ABSENT = {
  [DETECTION]: { truthOf: "<OD>", change: withAbsentThings },
  [GROUNDING]: { truthOf: GROUNDING, change: withAbsentPhrases },
} as const;

/**
 * A data set of detection as questions about single things, those that are there and some that are not: of each
 * image, every label of its `<OD>` truth, and labels of other images. Which ones follows from the order of the data
 * set alone.
 *
 * @param count of absent things for each image
 */
export function withAbsentThings(dataSet: DataSet, count: number): DataSet {
  const truths = truthsOf(dataSet, "<OD>");
  const labels = [...new Set(truths.flatMap(({ truth }) => truth.labels))].sort();
  const images = truths.map(({ file, truth }, i) => {
    const present = [...new Set(truth.labels)];
    const others = labels.filter((label) => !present.includes(label));
    const prompts = present.map((text): Prompt => {
      const boxes = truth.boxes.filter((_, k) => truth.labels[k] === text);
      return { task: DETECTION, text, truth: { boxes, labels: boxes.map(() => text) } };
    });
    const absent = some(others, count, i * count).map(
      (text): Prompt => ({ task: DETECTION, text, truth: { boxes: [], labels: [], absent: [text] } }),
    );
    return { file, prompts: [...prompts, ...absent] };
  });
  return { ...dataSet, name: `${dataSet.name}-absent`, images };
}

/**
 * A data set of grounding whose captions name things that are not there: of each image, the caption as it is, and
 * captions with another image's phrase in the place of one of its own. The two images have no word in common but
 * those of one or two letters; plurals are the same word.
 *
 * @param count of changed captions for each image
 */
export function withAbsentPhrases(dataSet: DataSet, count: number): DataSet {
  const truths = truthsOf(dataSet, GROUNDING);
  const phrases = [...new Set(truths.flatMap(({ truth }) => truth.labels))].sort();
  const images = truths.map(({ file, text: caption = "", truth }, i) => {
    const own = [...new Set(truth.labels)];
    const words = new Set(own.flatMap(stemsOf));
    const others = phrases.filter((phrase) => stemsOf(phrase).every((stem) => !words.has(stem)));
    const changed = some(others, count, i * count).flatMap((phrase, k): Prompt[] => {
      const replaced = own[k % own.length];
      const text = replaced && withPhrase(caption, replaced, phrase);
      if (!text) return [];
      const kept = truth.labels.flatMap((label, at) => (label === replaced ? [] : [at]));
      const [boxes, labels] = [kept.map((at) => truth.boxes[at]!), kept.map((at) => truth.labels[at]!)];
      return [{ task: GROUNDING, text, truth: { boxes, labels, absent: [phrase] } }];
    });
    return { file, prompts: [{ task: GROUNDING, text: caption, truth }, ...changed] };
  });
  return { ...dataSet, name: `${dataSet.name}-absent`, images };
}

function truthsOf({ images }: DataSet, task: string) {
  return images.flatMap(({ file, prompts }) => {
    const own = prompts.find((prompt) => prompt.task === task);
    return own ? [{ file, text: own.text, truth: own.truth as TrueBoxes }] : [];
  });
}

/** So many of a list, from a place on, round about. */
function some<Item>(list: readonly Item[], count: number, from: number): Item[] {
  return Array.from({ length: Math.min(count, list.length) }, (_, k) => list[(from + k) % list.length]!);
}

/** The beginnings of a phrase's words: "two green hearts" → gree, hear. */
function stemsOf(phrase: string): string[] {
  return (phrase.toLowerCase().match(/\p{L}{3,}/gu) ?? []).map((word) => word.slice(0, 4));
}

/** A caption with one phrase in the place of another, undefined if it has not that one. */
function withPhrase(caption: string, replaced: string, phrase: string): string | undefined {
  const at = caption.toLowerCase().indexOf(replaced.toLowerCase());
  if (at < 0) return undefined;
  const own = at === 0 ? phrase.charAt(0).toUpperCase() + phrase.slice(1) : phrase;
  return caption.slice(0, at) + own + caption.slice(at + replaced.length);
}
