import type { DataSet, Prompt } from "./data_set.ts";
import type { LabelledBoxes } from "./truth.ts";

const TASK = "<OPEN_VOCABULARY_DETECTION>";

/**
 * A data set of detection as questions about single things, those that are there and some that are not: of each
 * image, every label of its `<OD>` truth, and labels of other images. Which ones follows from the order of the data
 * set alone.
 *
 * @param count of absent things for each image
 */
export function withAbsentThings(dataSet: DataSet, count: number): DataSet {
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
      return { task: TASK, text, truth: { boxes, labels: boxes.map(() => text) } };
    });
    return { file, prompts };
  });
  return { ...dataSet, name: `${dataSet.name}-absent`, images };
}
