import type { DataSet } from "../../datasets/truth/data_set.ts";
import { mean } from "../../eval/metrics/mean.ts";
import { PredictionFile } from "../../eval/predictions.ts";
import { answerAll, judgeAll } from "../../eval/run.ts";
import type { Florence2 } from "../../model/florence2.ts";
import { LABEL_WEIGHT, type Scores } from "../../model/tasks/index.ts";

/** Tasks with confidences of labels; a quad's confidence is that of its place. */
export const LABEL_TASKS = [
  "<OD>",
  "<DENSE_REGION_CAPTION>",
  "<CAPTION_TO_PHRASE_GROUNDING>",
  "<OPEN_VOCABULARY_DETECTION>",
] as const;
export const QUAD_TASK = "<OCR_WITH_REGION>";
/** Exponents of a label's probability. */
export const WEIGHTS = [0, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1] as const;

/** Expected calibration errors of one exponent. */
export interface CalibrationRow {
  readonly weight: number;
  /** Mean over the tasks with labels, on the images that the exponent is chosen by. */
  readonly chosenBy: number;
  /** The same on the other images. */
  readonly checkedOn: number;
  /** Of each task, on those other images; of quads, too. */
  readonly tasks: Readonly<Record<string, number>>;
}

export interface CalibrationOptions {
  /** The folder of answers; those of an earlier run are not asked again. */
  readonly folder: string;
  /** Inputs besides the scores that determine answers. */
  readonly origin: Readonly<Record<string, string>>;
  readonly batch: number;
  readonly onProgress: (done: number, total: number) => void;
}

/**
 * Expected calibration errors of every exponent in `WEIGHTS`: on one half of the images, every other one, to choose
 * by, and on the other half to check.
 *
 * A confidence is place * label^LABEL_WEIGHT. Each image is asked twice, for confidences and for places alone, and the
 * probability of a label follows from both.
 */
export async function calibrate(
  model: Pick<Florence2, "encodeImage" | "runBatch">,
  dataSet: DataSet,
  { folder, origin, batch, onProgress }: CalibrationOptions,
): Promise<CalibrationRow[]> {
  const asked = withTasks(dataSet, [...LABEL_TASKS, QUAD_TASK]);
  const answersWith = async (scores: Scores) => {
    const predictions = new PredictionFile(`${folder}/${scores}.jsonl`, { ...origin, scores });
    await answerAll(model, asked, predictions, { batch, scores, onProgress });
    return predictions;
  };
  const confidences = await answersWith("confidence");
  const places = await answersWith("place");
  const halves = [0, 1].map((rest) => asked.images.filter((_, i) => i % 2 === rest));
  return WEIGHTS.map((weight) => {
    const predictions = reweighted(confidences, places, weight);
    const [first, second] = halves.map((images) => errorsOf({ ...asked, images }, predictions));
    return { weight, chosenBy: overLabels(first!), checkedOn: overLabels(second!), tasks: second! };
  });
}

/** The exponent with the least error on the half that it is chosen by. */
export const chosenRow = (rows: readonly CalibrationRow[]): CalibrationRow =>
  rows.reduce((best, row) => (row.chosenBy < best.chosenBy ? row : best));

function withTasks(dataSet: DataSet, tasks: readonly string[]): DataSet {
  const images = dataSet.images.map((image) => ({
    ...image,
    prompts: image.prompts.filter(({ task }) => tasks.includes(task)),
  }));
  return { ...dataSet, images };
}

type Scored = { readonly scores: readonly number[] };

/** Predictions whose scores are place * label^weight. */
function reweighted(
  confidences: PredictionFile,
  places: PredictionFile,
  weight: number,
): Pick<PredictionFile, "find" | "path"> {
  return {
    path: confidences.path,
    find(file, prompt) {
      const prediction = confidences.find(file, prompt)!;
      const { scores } = prediction.answer as Scored;
      const own = places.find(file, prompt)!.answer as Scored;
      const changed = own.scores.map((place, i) =>
        place === 0 ? 0 : place * (scores[i]! / place) ** (weight / LABEL_WEIGHT),
      );
      return { ...prediction, answer: { ...(prediction.answer as Scored), scores: changed } };
    },
  };
}

function errorsOf(
  dataSet: DataSet,
  predictions: Pick<PredictionFile, "find" | "path">,
): Record<string, number> {
  const findings = judgeAll(dataSet, predictions);
  return Object.fromEntries(
    findings.map(({ task, figures }) => [task, figures["expected calibration error"]!]),
  );
}

const overLabels = (errors: Readonly<Record<string, number>>) =>
  mean(LABEL_TASKS.map((task) => errors[task]!));
