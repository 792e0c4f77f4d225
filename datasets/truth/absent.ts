import type { DataSet, Prompt } from "./data_set.ts";
import type { TrueBoxes } from "./truth.ts";

const DETECTION = "<OPEN_VOCABULARY_DETECTION>";
const GROUNDING = "<CAPTION_TO_PHRASE_GROUNDING>";

/** Tasks that ask for things by name, and the tasks whose truth says what is there. */
export const TRUTH_OF = { [DETECTION]: "<OD>", [GROUNDING]: GROUNDING } as const;
export type NamingTask = keyof typeof TRUTH_OF;

export interface AbsentOptions {
  /** Absent things, or phrases, for each image. */
  readonly count: number;
  /** Phrases are asked for one by one, as `florence2 label` does, and not within captions. */
  readonly alone?: boolean;
}

/**
 * A data set as questions about things that are there and things that are not.
 *
 * @param dataSet with the truth of `TRUTH_OF[task]`
 */
export function withAbsent(dataSet: DataSet, task: NamingTask, options: AbsentOptions): DataSet {
  return task === DETECTION ? withAbsentThings(dataSet, options) : withAbsentPhrases(dataSet, options);
}

/**
 * A data set of detection as questions about single things, those that are there and some that are not: of each
 * image, every label of its `<OD>` truth, and labels of other images. Which ones follows from the order of the data
 * set alone.
 */
function withAbsentThings(dataSet: DataSet, { count }: AbsentOptions): DataSet {
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
 * those of one or two letters; plurals are the same word. Alone, each phrase is a caption.
 */
function withAbsentPhrases(dataSet: DataSet, { count, alone = false }: AbsentOptions): DataSet {
  const truths = truthsOf(dataSet, GROUNDING);
  const phrases = [...new Set(truths.flatMap(({ truth }) => truth.labels))].sort();
  const images = truths.map(({ file, text: caption = "", truth }, i) => {
    const own = [...new Set(truth.labels)];
    const words = new Set(own.flatMap(stemsOf));
    const others = phrases.filter((phrase) => stemsOf(phrase).every((stem) => !words.has(stem)));
    const absent = some(others, count, i * count);
    if (alone) {
      const present = own.map((phrase) => groundingOf(sentence(phrase), truth, (label) => label === phrase));
      const missing = absent.map((phrase) => groundingOf(sentence(phrase), truth, () => false, phrase));
      return { file, prompts: [...present, ...missing] };
    }
    const changed = absent.flatMap((phrase, k): Prompt[] => {
      const replaced = own[k % own.length];
      const text = replaced && withPhrase(caption, replaced, phrase);
      return text ? [groundingOf(text, truth, (label) => label !== replaced, phrase)] : [];
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

/** A caption, and the part of the truth that is true of it. */
function groundingOf(
  text: string,
  { boxes, labels }: TrueBoxes,
  has: (label: string) => boolean,
  absent?: string,
): Prompt {
  const kept = labels.flatMap((label, at) => (has(label) ? [at] : []));
  const truth = { boxes: kept.map((at) => boxes[at]!), labels: kept.map((at) => labels[at]!) };
  return { task: GROUNDING, text, truth: { ...truth, ...(absent !== undefined && { absent: [absent] }) } };
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
const sentence = (phrase: string) => `${capital(phrase)}.`;

/** A caption with one phrase in the place of another, undefined if it has not that one. */
function withPhrase(caption: string, replaced: string, phrase: string): string | undefined {
  const at = caption.toLowerCase().indexOf(replaced.toLowerCase());
  if (at < 0) return undefined;
  return caption.slice(0, at) + (at === 0 ? capital(phrase) : phrase) + caption.slice(at + replaced.length);
}
