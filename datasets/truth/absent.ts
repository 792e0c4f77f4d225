import type { DataSet, Prompt } from "./data_set.ts";
import type { LabelledBoxes } from "./truth.ts";

/** The tasks that find a thing by its name. */
export const NAMING_TASKS = ["<OPEN_VOCABULARY_DETECTION>", "<CAPTION_TO_PHRASE_GROUNDING>"] as const;
export type NamingTask = (typeof NAMING_TASKS)[number];

/**
 * A data set of detection as questions about single things, those that are there and some that are not: of each
 * image, every label of its `<OD>` truth, and labels of other images. Which ones follows from the order of the data
 * set alone.
 *
 * @param count of absent things for each image
 * @param task that asks
 */
export function withAbsentThings(dataSet: DataSet, count: number, task: NamingTask): DataSet {
  const truths = dataSet.images.flatMap(({ file, prompts }) => {
    const own = prompts.find(({ task }) => task === "<OD>");
    return own ? [{ file, truth: own.truth as LabelledBoxes }] : [];
  });
  const labels = [...new Set(truths.flatMap(({ truth }) => truth.labels))].sort();
  const images = truths.map(({ file, truth }, i) => {
    const present = [...new Set(truth.labels)];
    const others = labels.filter((label) => !present.includes(label));
    const absent = Array.from(
      { length: Math.min(count, others.length) },
      (_, k) => others[(i * count + k) % others.length]!,
    );
    const prompts = [...present, ...absent].map((text): Prompt => {
      const boxes = truth.boxes.filter((_, k) => truth.labels[k] === text);
      return { task, text, truth: { boxes, labels: boxes.map(() => text) } };
    });
    return { file, prompts };
  });
  return { ...dataSet, name: `${dataSet.name}-absent`, images };
}
