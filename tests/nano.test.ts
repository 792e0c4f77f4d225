/** The bundled checkpoint: the reference's tokens for every task, and how good its answers are. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CocoBox, cocoFigures } from "../eval/metrics/coco_map.ts";
import { mean } from "../eval/metrics/mean.ts";
import { characterErrorRate } from "../eval/metrics/texts.ts";
import { type EncodedImage, Florence2 } from "../index.ts";
import { gpuMissing } from "./support/gpu.ts";

interface Truth {
  readonly file: string;
  readonly prompts: readonly { readonly task: string; readonly truth: unknown }[];
}

interface AnswersFixture {
  readonly max_new_tokens: number;
  readonly answers: readonly {
    readonly picture: string;
    readonly task: string;
    readonly text?: string;
    readonly ids: number[];
    readonly score: number;
    /** By how much the beams kept were better than the next one, at the least. */
    readonly margin: number;
  }[];
}

interface LabelledBoxes {
  readonly boxes: readonly (readonly number[])[];
  readonly labels: readonly string[];
}

const nano = fileURLToPath(new URL("../checkpoints/nano/", import.meta.url));
const heldOut = readFileSync(`${nano}heldout/truth.jsonl`, "utf8")
  .trim()
  .split("\n")
  .slice(0, 200)
  .map((line) => JSON.parse(line) as Truth);
/** Pictures of which this is asked, with what is true of them. */
const known = <T>(task: string): { file: string; truth: T }[] =>
  heldOut.flatMap(({ file, prompts }) =>
    prompts.filter((prompt) => prompt.task === task).map(({ truth }) => ({ file, truth: truth as T })),
  );
const fixture = JSON.parse(
  readFileSync(new URL("fixtures/nano/answers.json", import.meta.url), "utf8"),
) as AnswersFixture;
/** Which of two closer beams is kept is up to the rounding of logits, some 1e-6 of each of 20 tokens. */
const TIE = 5e-5;
const decided = fixture.answers.filter(({ margin }) => margin > TIE);
const tasks = [...new Set(fixture.answers.map(({ task }) => task))];
/** What the bundled weights reach, a little below the figures of their README. */
const BARS = { meanAveragePrecision: 0.85, captionsRight: 0.85, characterErrorRate: 0.06 };

describe.skipIf(gpuMissing)("the bundled checkpoint", () => {
  let model: Florence2;
  const images = new Map<string, EncodedImage>();
  beforeAll(async () => {
    model = await Florence2.fromPretrained(nano, { device: "gpu" });
    for (const { file } of heldOut) images.set(file, await model.encodeImage(`${nano}heldout/${file}`));
  });
  afterAll(() => model?.dispose());

  const ask = async <T extends string>(
    questions: readonly { readonly picture: string; readonly text?: string }[],
    task: T,
  ) =>
    model.runBatch(
      questions.map(({ picture, text }) => ({ image: images.get(picture)!, task, text })),
      { maxNewTokens: fixture.max_new_tokens },
    );
  const askOf = async <T extends string>(pictures: readonly { readonly file: string }[], task: T) =>
    ask(
      pictures.map(({ file }) => ({ picture: file })),
      task,
    );

  it("is compared on every task, but for a few ties", () => {
    expect(tasks.length).toBe(15);
    expect(decided.length / fixture.answers.length).toBeGreaterThan(0.98);
  });

  it.each(tasks)("gives the reference's tokens for %s", async (task) => {
    const expected = decided.filter((answer) => answer.task === task);
    const found = await ask(expected, task);
    for (const [i, { picture, ids, score }] of expected.entries()) {
      expect(found[i]!.tokens, picture).toEqual(ids);
      expect(Math.abs(found[i]!.score - score), picture).toBeLessThan(1e-4);
    }
  });

  it("finds things", async () => {
    const cocoBox = ([x1, y1, x2, y2]: readonly number[]): CocoBox => [x1!, y1!, x2! - x1!, y2! - y1!];
    const pictures = known<LabelledBoxes>("<OD>");
    const found = (await askOf(pictures, "<OD>")).flatMap(({ answer }, image) =>
      answer.bboxes.map((box, i) => ({
        image,
        category: answer.labels[i]!,
        box: cocoBox(box),
        score: answer.scores![i]!,
      })),
    );
    const boxes = pictures.flatMap(({ truth }, image) =>
      truth.boxes.map((box, i) => ({ image, category: truth.labels[i]!, box: cocoBox(box) })),
    );
    const precision = cocoFigures(boxes, found).figures.AP50;
    console.log(`<OD> mAP@0.5 of ${pictures.length} pictures: ${precision.toFixed(3)}`);
    expect(precision).toBeGreaterThanOrEqual(BARS.meanAveragePrecision);
  });

  it("names things", async () => {
    const pictures = known<LabelledBoxes>("<OD>");
    const kinds = [...new Set(pictures.flatMap(({ truth }) => truth.labels))];
    const plural = (kind: string) => `${kind}s|${kind}es|${kind.replace(/y$/, "ies").replace(/us$/, "i")}`;
    const named = (text: string) =>
      kinds.filter((kind) => new RegExp(`\\b(${kind}|${plural(kind)})\\b`, "i").test(text)).sort();
    const right = (await askOf(pictures, "<CAPTION>")).map(({ answer }, i) => {
      const expected = [...new Set(pictures[i]!.truth.labels)].sort();
      return named(answer).join() === expected.join() ? 1 : 0;
    });
    console.log(`<CAPTION> names exactly the right things in ${(100 * mean(right)).toFixed(1)} %`);
    expect(mean(right)).toBeGreaterThanOrEqual(BARS.captionsRight);
  });

  it("reads", async () => {
    const pictures = known<string>("<OCR>");
    const answers = await askOf(pictures, "<OCR>");
    const rate = characterErrorRate(
      answers.map(({ answer }, i) => ({ found: answer, truth: pictures[i]!.truth })),
    );
    console.log(`<OCR> character error rate of ${pictures.length} pictures: ${(100 * rate).toFixed(1)} %`);
    expect(rate).toBeLessThanOrEqual(BARS.characterErrorRate);
  });
});
