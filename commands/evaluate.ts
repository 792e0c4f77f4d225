import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { Florence2Error } from "../core/errors.ts";
import { type NamingTask, TRUTH_OF, withAbsent } from "../datasets/truth/absent.ts";
import { openDataSet } from "../datasets/truth/data_set.ts";
import { compare, comparisonTable } from "../eval/comparison.ts";
import { type Origin, PredictionFile } from "../eval/predictions.ts";
import { ProgressBar } from "../eval/progress.ts";
import { figuresTable, writeReport } from "../eval/report.ts";
import { answerAll, judgeAll } from "../eval/run.ts";
import { SCORES } from "../model/tasks/index.ts";
import { BUNDLED_DATA, BUNDLED_MODEL } from "./bundled.ts";
import { fingerprint, modelFingerprint } from "./fingerprint.ts";
import { openModel } from "./open_model.ts";
import { oneOf, readArguments, wholeNumber } from "./options.ts";

/** The tasks that ask for things by name. */
const ASKED_FOR = Object.keys(TRUTH_OF) as NamingTask[];
const HELP = `florence2 evaluate [options]

Runs a checkpoint over a data set and prints how good its answers are; a report with plots goes to the output
folder. A run that was stopped goes on where it was.

  --model DIR         a checkpoint folder (default: the bundled one)
  --data FILE         plain JSONL, or COCO's captions_*.json, instances_*.json or Karpathy's dataset_coco.json
                      (default: the held-out images of the bundled checkpoint)
  --images DIR        where the images are (default: beside FILE)
  --task TASK         only this task; of COCO's captions, the task to ask (default: <CAPTION>)
  --absent N          whether confidences tell what is there from what is not, of which N things are asked for. By
                      --task <OPEN_VOCABULARY_DETECTION> (default), each by itself, beside those of the <OD> truth; by
                      <CAPTION_TO_PHRASE_GROUNDING>, in captions where they take the place of something
  --alone             grounding gets each phrase as a caption of its own, as florence2 label asks
  --scores NAME       confidence (default), place (without the label) or microsoft (exp(mean log-probability))
  --limit N           only the first N images
  --batch N           images seen at a time (default: 8)
  --dtype NAME        how matrices are held: auto, f32, f16, q8 or q4 (default: auto, as stored)
  --device NAME       auto, gpu or cpu (default: auto)
  --num-beams N       hypotheses of beam search (default: the model's own)
  --max-new-tokens N  length of an answer at most (default: the model's own)
  --compare FILE      predictions of another run, such as one by transformers or of another dtype: tells how many
                      answers are the same, token for token, and lists the others
  --output DIR        where predictions and report go (default: out/eval/MODEL/FILE)
  --help
`;

/** The command `florence2 evaluate`; resolves to its exit code. */
export async function evaluate(args: string[]): Promise<number> {
  const { values, positionals } = readArguments(args, {
    model: { type: "string", default: BUNDLED_MODEL },
    data: { type: "string", default: BUNDLED_DATA },
    images: { type: "string" },
    task: { type: "string" },
    absent: { type: "string" },
    alone: { type: "boolean" },
    scores: { type: "string", default: "confidence" },
    limit: { type: "string" },
    batch: { type: "string", default: "8" },
    dtype: { type: "string", default: "auto" },
    device: { type: "string", default: "auto" },
    "num-beams": { type: "string" },
    "max-new-tokens": { type: "string" },
    compare: { type: "string" },
    output: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (positionals.length > 0) {
    const message = `florence2 evaluate takes options only, found ${positionals.join(" ")}; the model goes into --model.`;
    throw new Florence2Error("option_invalid", message, { positionals });
  }
  const batch = wholeNumber("batch", values.batch, 1)!;
  const numBeams = wholeNumber("num-beams", values["num-beams"], 1);
  const maxNewTokens = wholeNumber("max-new-tokens", values["max-new-tokens"], 1);
  const limit = wholeNumber("limit", values.limit, 1);
  const absent = wholeNumber("absent", values.absent, 1);
  const scores = oneOf("scores", values.scores, SCORES);
  const naming = absent && oneOf("task", values.task ?? ASKED_FOR[0]!, ASKED_FOR);
  const task = naming ? TRUTH_OF[naming] : values.task;
  const asWritten = await openDataSet(values.data, { images: values.images, task, limit });
  const dataSet = naming ? withAbsent(asWritten, naming, { count: absent, alone: values.alone }) : asWritten;
  const folder = values.output ?? join("out", "eval", basename(resolve(values.model)), dataSet.name);
  const origin: Origin = {
    model: basename(resolve(values.model)),
    "model files": modelFingerprint(values.model),
    data: basename(values.data),
    "data file": fingerprint([values.data]),
    dtype: values.dtype,
    "beams of search": numBeams ?? null,
    "new tokens at most": maxNewTokens ?? null,
    scores,
  };
  const others = values.compare === undefined ? undefined : otherPredictions(values.compare);
  const predictions = new PredictionFile(join(folder, "predictions.jsonl"), origin);
  const model = await openModel(values.model, {
    dtype: values.dtype as "auto",
    device: values.device as "auto",
  });
  try {
    process.stderr.write(`${origin.model} on ${model.device.name}, ${dataSet.images.length} images\n`);
    const bar = new ProgressBar();
    await answerAll(model, dataSet, predictions, {
      batch,
      numBeams,
      maxNewTokens,
      scores,
      onProgress: (done, total) => bar.show(done, total),
    });
  } finally {
    model.dispose();
  }
  const findings = judgeAll(dataSet, predictions);
  process.stdout.write(`${figuresTable(findings)}\n`);
  const comparison =
    others && `Beside ${values.compare}:\n\n${comparisonTable(compare(dataSet, predictions, others))}`;
  if (comparison) process.stdout.write(`\n${comparison}\n`);
  const images = dataSet.images.length;
  const report = writeReport(folder, findings, { ...origin, images, device: model.device.name }, comparison);
  process.stderr.write(`Report: ${report}\n`);
  return 0;
}

function otherPredictions(path: string): PredictionFile {
  if (existsSync(path)) return new PredictionFile(path, {});
  throw new Florence2Error("file_not_found", `${path}, which --compare names, is not there.`, { path });
}
