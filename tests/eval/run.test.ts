/** `npm run eval`: asking, taking up again, judging, reporting. */
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { TrueBoxes, TruePolygons, TrueQuads } from "../../datasets/truth/truth.ts";
import { compare, comparisonTable } from "../../eval/comparison.ts";
import { type Prediction, PredictionFile } from "../../eval/predictions.ts";
import { figuresTable, writeReport } from "../../eval/report.ts";
import { answerAll, judgeAll } from "../../eval/run.ts";
import { Florence2 } from "../../index.ts";
import { florenceError } from "../support/errors.ts";
import { gpuMissing } from "../support/gpu.ts";
import { IMAGES, openScenes } from "../support/scenes.ts";

const NANO = fileURLToPath(new URL("../../checkpoints/nano/", import.meta.url));
const ORIGIN = { model: "made up" };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "florence2-eval-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const openPredictions = () => new PredictionFile(join(folder, "predictions.jsonl"), ORIGIN);

/** What a model would have to say for the truth to be met. */
function perfectAnswer(task: string, truth: unknown): unknown {
  const { boxes, labels } = truth as TrueBoxes;
  const confidences = boxes?.map((_, i) => 0.9 - i / 10);
  if (task === "<OPEN_VOCABULARY_DETECTION>") {
    return { bboxes: boxes, bboxes_labels: labels, polygons: [], polygons_labels: [], scores: confidences };
  }
  if (boxes) return { bboxes: boxes, labels, scores: confidences };
  const { quads } = truth as TrueQuads;
  if (quads) return { quad_boxes: quads, labels: labels.map((label) => `</s>${label}`) };
  const { polygons } = truth as TruePolygons;
  if (polygons) return { polygons, labels: [""] };
  const text = Array.isArray(truth) ? truth[0] : truth;
  return task.startsWith("<REGION") ? `${text}<loc_1><loc_2><loc_3><loc_4>` : text;
}

type Model = Parameters<typeof answerAll>[0];

/** Answers from the truth; throws instead when it is asked more than `patience` times. */
async function madeUpModel(answerOf = perfectAnswer, patience = Number.POSITIVE_INFINITY) {
  const { images } = await openScenes();
  const asked: string[] = [];
  let seen = 0;
  const model = {
    async encodeImage(path: string) {
      seen++;
      return { width: 256, height: 256, file: path.slice(IMAGES.length), dispose: () => seen-- };
    },
    async runBatch(questions: { image: { file: string }; task: string; text?: string }[]) {
      if (asked.length + questions.length > patience) throw new Error("pulled the plug");
      return questions.map(({ image, task, text }) => {
        asked.push(`${task} ${image.file}`);
        const { prompts } = images.find(({ file }) => file === image.file)!;
        const { truth } = prompts.find((prompt) => prompt.task === task && prompt.text === text)!;
        return { answer: answerOf(task, truth), tokens: [2, 0, 2], score: -1, width: 256, height: 256 };
      });
    },
  };
  return { model: model as unknown as Model, asked, seen: () => seen };
}

const quietly = { batch: 8, onProgress: () => {} };

describe("an evaluation", () => {
  const PERFECT: Record<string, Record<string, number>> = {
    "<CAPTION>": { "BLEU-4": 1 },
    "<MORE_DETAILED_CAPTION>": { "CIDEr-D": 10, "BLEU-4": 1 },
    "<OD>": { AP: 1, AR1: 1, "AP, constant scores": 1, "F1@0.5": 1 },
    "<DENSE_REGION_CAPTION>": { "F1@0.5": 1, "mean IoU of pairs": 1, "exact label of pairs": 1 },
    "<REGION_PROPOSAL>": { "recall@0.5": 1, "precision@0.5": 1 },
    "<OCR>": { "character error rate": 0, "word error rate": 0, "exact match": 1 },
    "<OCR_WITH_REGION>": { "quads found@0.5": 1, "exact text of pairs": 1 },
    "<CAPTION_TO_PHRASE_GROUNDING>": { "accuracy@0.5": 1, "F1@0.5": 1 },
    "<REFERRING_EXPRESSION_SEGMENTATION>": { "mean IoU": 1 },
    "<OPEN_VOCABULARY_DETECTION>": { "accuracy@0.5": 1 },
    "<REGION_TO_SEGMENTATION>": { "mean IoU": 1 },
    "<REGION_TO_CATEGORY>": { "exact match": 1 },
    "<REGION_TO_DESCRIPTION>": { "BLEU-4": 1 },
    "<REGION_TO_OCR>": { "character error rate": 0, "exact match": 1 },
    "<VQA>": { "VQA accuracy": 1 },
    "<COUNT>": { "exact match": 1 },
  };

  it("finds perfect answers perfect, for every task", async () => {
    const [dataSet, predictions] = [await openScenes(), openPredictions()];
    const { model, asked, seen } = await madeUpModel();
    await answerAll(model, dataSet, predictions, quietly);
    expect(asked).toHaveLength(34);
    expect(seen()).toBe(0);
    const findings = judgeAll(dataSet, predictions);
    expect(findings).toHaveLength(17);
    for (const [task, figures] of Object.entries(PERFECT)) {
      const own = findings.find((finding) => finding.task === task)!;
      expect(own.prompts).toBe(2);
      for (const [name, value] of Object.entries(figures)) {
        expect(own.figures[name], `${task} ${name}`).toBeCloseTo(value, 4);
      }
    }
  });

  it("finds wrong answers wrong, for every task", async () => {
    const [dataSet, predictions] = [await openScenes(), openPredictions()];
    const { model } = await madeUpModel((task, truth) => {
      const answer = perfectAnswer(task, truth);
      if (typeof answer === "string") return "nothing of the kind";
      const away = (points: readonly number[]) => points.map((value) => value + 300);
      const { bboxes, quad_boxes, polygons } = answer as Record<string, number[][]>;
      return {
        ...(answer as object),
        ...(bboxes && { bboxes: bboxes.map(away) }),
        ...(quad_boxes && { quad_boxes: quad_boxes.map(away) }),
        ...(polygons && { polygons: (polygons as unknown as number[][][]).map((one) => one.map(away)) }),
      };
    });
    await answerAll(model, dataSet, predictions, quietly);
    const findings = judgeAll(dataSet, predictions);
    for (const [task, figures] of Object.entries(PERFECT)) {
      const own = findings.find((finding) => finding.task === task)!.figures;
      for (const name of Object.keys(figures)) {
        const value = own[name]!;
        if (name.includes("error rate")) expect(value, `${task} ${name}`).toBeGreaterThan(0.9);
        // Of pairs there are none.
        else if (name.includes("of pairs")) expect(value, `${task} ${name}`).toBeNaN();
        else expect(value, `${task} ${name}`).toBeLessThan(0.001);
      }
    }
  });

  it("goes on where it was stopped", async () => {
    const dataSet = await openScenes();
    const whole = new PredictionFile(join(folder, "whole.jsonl"), ORIGIN);
    await answerAll((await madeUpModel()).model, dataSet, whole, { ...quietly, batch: 1 });

    const first = await madeUpModel(perfectAnswer, 20);
    await expect(
      answerAll(first.model, dataSet, openPredictions(), { ...quietly, batch: 1 }),
    ).rejects.toThrow("pulled the plug");
    expect(first.seen()).toBe(0);
    appendFileSync(join(folder, "predictions.jsonl"), '{"file": "half a li');

    const second = await madeUpModel();
    const progress: number[][] = [];
    const predictions = openPredictions();
    await answerAll(second.model, dataSet, predictions, {
      batch: 1,
      onProgress: (...counts) => progress.push(counts),
    });
    expect(new Set([...first.asked, ...second.asked]).size).toBe(34);
    expect(second.asked).toHaveLength(14);
    expect(progress.at(-1)).toEqual([14, 14]);
    expect(readFileSync(predictions.path, "utf8")).toBe(readFileSync(whole.path, "utf8"));
    expect(judgeAll(dataSet, predictions)).toEqual(judgeAll(dataSet, whole));
  });

  it("refuses predictions of another origin, and an image that is missing", async () => {
    const dataSet = await openScenes();
    const { path } = openPredictions();
    writeFileSync(path, `${JSON.stringify(ORIGIN)}\n`);
    expect(() => new PredictionFile(path, { model: "another" })).toThrow(
      florenceError("data_invalid", path, 'model "made up", expected "another"', "--output"),
    );
    const { model, asked } = await madeUpModel();
    await expect(answerAll(model, { ...dataSet, folder }, openPredictions(), quietly)).rejects.toEqual(
      florenceError("file_not_found", join(folder, "scene.png"), "--images"),
    );
    expect(asked).toEqual([]);
    expect(() => judgeAll(dataSet, openPredictions())).toThrow(
      florenceError("data_invalid", "no answer for <CAPTION> of scene.png"),
    );
  });

  it("is reported with tables and plots", async () => {
    const [dataSet, predictions] = [await openScenes(), openPredictions()];
    await answerAll((await madeUpModel()).model, dataSet, predictions, quietly);
    const findings = judgeAll(dataSet, predictions);
    const lines = figuresTable(findings).split("\n");
    expect(new Set(lines.map((row) => row.length)).size).toBe(1);
    expect(lines).toContainEqual(expect.stringMatching(/^\| `<OD>` +\| +2 \| AP +\| 1\.000 \|$/));
    expect(lines).toContainEqual(expect.stringMatching(/^\| +\| +\| APs +\| +- \|$/));

    const report = readFileSync(writeReport(join(folder, "report"), findings, ORIGIN), "utf8");
    const plots = readdirSync(join(folder, "report")).filter((name) => name.endsWith(".svg"));
    expect(plots).toContain("od.precision.svg");
    expect(plots).toContain("od.reliability.svg");
    expect(plots).toContain("region_to_segmentation.distribution.svg");
    for (const plot of plots) {
      expect(report).toContain(`](${plot})`);
      const svg = readFileSync(join(folder, "report", plot), "utf8");
      expect(svg).not.toMatch(/NaN|undefined|Infinity/);
      expect(svg.match(/<text/g)?.length).toBe(svg.match(/<\/text>/g)?.length);
    }
    const { tasks } = JSON.parse(readFileSync(join(folder, "report", "figures.json"), "utf8"));
    expect(tasks[3]).toMatchObject({ task: "<OD>", prompts: 2, figures: { AR1: 1, APs: null } });
  });

  it("is compared with another run, token for token", async () => {
    const dataSet = await openScenes({ task: "<OCR>" });
    const ours = openPredictions();
    await answerAll((await madeUpModel()).model, dataSet, ours, quietly);
    expect(compare(dataSet, ours, ours).differences).toEqual([]);

    const theirs = new PredictionFile(join(folder, "theirs.jsonl"), {});
    const [first, second] = dataSet.images.map(({ file, prompts }) => ours.find(file, prompts[0]!)!);
    theirs.append([{ ...first!, tokens: [2, 0, 7, 2], margin: 2e-6, score: -1.25 }]);
    const half = compare(dataSet, ours, theirs);
    expect([...half.prompts]).toEqual([["<OCR>", 1]]);
    expect(half.differences).toMatchObject([{ file: "scene.png", task: "<OCR>", place: 2 }]);
    theirs.append([{ ...second!, tokens: [...second!.tokens, 2] }]);
    const whole = compare(dataSet, ours, new PredictionFile(theirs.path, {}));
    expect(whole.differences.map(({ place }) => place)).toEqual([2, 3]);
    const table = comparisonTable({ ...half, prompts: new Map([["<OCR>", 8]]) });
    expect(table).toMatch(/\| `<OCR>` +\| +8 \| +7 +\| 87\.50 % \|/);
    expect(table).toContain(
      "| scene.png `<OCR>` |          2 | -1.000000 / -1.250000 |               2.0e-6 |",
    );
  });

  it("has no figures where there is nothing to measure", async () => {
    const prompts = [{ task: "<OD>", truth: { boxes: [], labels: [] } }];
    const dataSet = { name: "empty", folder: IMAGES, images: [{ file: "scene.png", prompts }] };
    const predictions = openPredictions();
    const answer = { bboxes: [], labels: [], scores: [] };
    predictions.append([
      { file: "scene.png", task: "<OD>", width: 9, height: 9, answer, tokens: [], score: 0 },
    ]);
    const findings = judgeAll(dataSet, predictions);
    expect(findings[0]!.figures).toMatchObject({ AP: Number.NaN, "F1@0.5": Number.NaN });
    writeReport(folder, findings, ORIGIN);
    expect(readFileSync(join(folder, "od.reliability.svg"), "utf8")).not.toContain("NaN");
  });

  it.skipIf(gpuMissing)("keeps what the model answers", async () => {
    const model = await Florence2.fromPretrained(NANO, { device: "gpu" });
    try {
      const dataSet = await openScenes({ limit: 1, task: "<OD>" });
      await answerAll(model, dataSet, openPredictions(), { ...quietly, maxNewTokens: 24 });
      const [, line] = readFileSync(openPredictions().path, "utf8").split("\n");
      const { answer, tokens, width, height } = JSON.parse(line!) as Prediction;
      const expected = await model.run(join(IMAGES, "scene.png"), "<OD>", { maxNewTokens: 24 });
      expect({ answer, tokens, width, height }).toEqual({
        answer: expected.answer,
        tokens: expected.tokens,
        width: expected.width,
        height: expected.height,
      });
    } finally {
      model.dispose();
    }
  });
});
