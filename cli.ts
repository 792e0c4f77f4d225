#!/usr/bin/env node
/** `florence2 [picture] [task]`: the library from a terminal. */
import { writeFile } from "node:fs/promises";
import { basename, extname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fail, note, showLoading, showProgress } from "./commands/terminal.ts";
import { drawOnImage } from "./draw/index.ts";
import { marksOf } from "./draw/marks.ts";
import {
  type AnswerOf,
  Florence2,
  Florence2Error,
  loadImage,
  type PixelBox,
  type Result,
  tasks,
} from "./index.ts";
import { resolveTask } from "./model/tasks/index.ts";

const HELP = `florence2 [picture] [task ...] [options]
florence2 doctor [model]: what runs here, and whether it runs right (see florence2 doctor --help)
florence2 quantize MODEL FOLDER: a smaller model in 8 or 4 bits (see florence2 quantize --help)

Answers tasks about a picture; without a task: caption, objects and text. Without a picture: a bundled one.

  --text TEXT            for tasks that take a text
  --region X1,Y1,X2,Y2   for tasks that take a region, in pixels
  --model MODEL          a folder, or a repository such as microsoft/Florence-2-base (default: the bundled one)
  --revision NAME        branch, tag or commit of the repository (default: main)
  --device NAME          auto, gpu or cpu (default: auto)
  --dtype NAME           how weights are held: auto (as stored), f32, f16, q8 or q4 (default: auto)
  --num-beams N          hypotheses of beam search (default: the model's own, 3)
  --max-new-tokens N     length of the answer at most
  --out FILE             where the annotated picture goes (default: NAME.answer.png here; "none": nowhere)
  --json                 print results as JSON
  --help

Tasks: ${tasks.map(({ token }) => token).join(" ")}
Anything else is passed to the model as a prompt.
`;

/** Beside this file in a checkout, one level up from the compiled one. */
const home = new URL(import.meta.url.includes("/dist/") ? "../" : "./", import.meta.url);
const BUNDLED_MODEL = fileURLToPath(new URL("checkpoints/nano/", home));
const BUNDLED_PICTURE = fileURLToPath(new URL("examples/scene.png", home));
type Answer = AnswerOf<string>;
/** Smaller pictures are enlarged to about this many pixels, so that labels on them can be read. */
const LEGIBLE = 600;
const FIRST_TASKS = ["<CAPTION>", "<OD>", "<OCR>"];

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      text: { type: "string" },
      region: { type: "string" },
      model: { type: "string", default: BUNDLED_MODEL },
      revision: { type: "string" },
      device: { type: "string", default: "auto" },
      dtype: { type: "string", default: "auto" },
      "num-beams": { type: "string" },
      "max-new-tokens": { type: "string" },
      out: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const [picture = BUNDLED_PICTURE, ...asked] = positionals;
  const questions = asked.length > 0 ? asked : FIRST_TASKS;
  const region = values.region === undefined ? undefined : parseRegion(values.region);
  const options = {
    text: values.text,
    region,
    numBeams: integerOption("num-beams", values["num-beams"]),
    maxNewTokens: integerOption("max-new-tokens", values["max-new-tokens"]),
  };
  // What was asked is checked before a model is downloaded for it.
  const pixels = await loadImage(picture);
  for (const task of questions) resolveTask(task, region ?? values.text, pixels);

  const started = performance.now();
  const model = await Florence2.fromPretrained(values.model, {
    device: values.device as "auto",
    dtype: values.dtype as "auto",
    revision: values.revision,
    onProgress: showLoading,
  });
  try {
    note(`model on ${model.device.name}: ${seconds(started)}`);
    const seeing = performance.now();
    const image = await model.encodeImage({ ...pixels, channels: 3 });
    note(`${basename(picture)}, ${image.width} x ${image.height}, seen: ${seconds(seeing)}`);
    const results: Record<string, Result<Answer>> = {};
    for (const task of questions) {
      const asking = performance.now();
      const onStep = ({ step }: { step: number }) => showProgress(`${task} ${step + 1} tokens`);
      results[task] = await model.run(image, task, { ...options, onStep });
      note(`${task}: ${results[task].tokens.length} tokens, ${seconds(asking)}`);
    }
    if (values.json) console.log(JSON.stringify(results, undefined, 2));
    else for (const [task, result] of Object.entries(results)) printAnswer(task, result);
    await annotate(picture, values.out, region, Object.values(results));
  } finally {
    model.dispose();
  }
}

function printAnswer(task: string, { answer, score }: Result<Answer>): void {
  console.log(`\n${task}  (score ${score.toFixed(3)})`);
  const rows = tableOf(answer);
  if (rows.length > 0) console.table(rows);
  else console.log(typeof answer === "string" ? answer : "nothing found");
}

/** One row for each box, quad or mask, numbers rounded for reading. */
function tableOf(answer: Answer): Record<string, string | number>[] {
  return marksOf(answer).map(({ label, kind, outlines, score }) => {
    const points = outlines.flat();
    const corners = kind === "box" ? [...points.slice(0, 2), ...points.slice(4, 6)] : points;
    const place =
      kind === "mask" ? `${points.length / 2} points` : corners.map((value) => value.toFixed(1)).join(" ");
    return { label, place, ...(score !== undefined && { confidence: Number(score.toFixed(3)) }) };
  });
}

/** Draws the last answer that has places onto the picture, or else the last one's words under it. */
async function annotate(
  picture: string,
  out: string | undefined,
  region: PixelBox | undefined,
  results: readonly Result<Answer>[],
): Promise<void> {
  if (out === "none") return;
  const { answer, width, height } =
    results.findLast(({ answer }) => typeof answer !== "string") ?? results.at(-1)!;
  const scale = Math.max(1, Math.round(LEGIBLE / Math.max(width, height)));
  const target = resolve(out ?? `${basename(picture, extname(picture))}.answer.png`);
  await writeFile(target, await drawOnImage(picture, answer, { region, scale }));
  note(`annotated picture: ${target}`);
}

function parseRegion(text: string): PixelBox {
  const [x1, y1, x2, y2, ...rest] = text.split(",").map(Number);
  if (rest.length > 0 || [x1, y1, x2, y2].some((value) => !Number.isFinite(value))) {
    throw new Florence2Error("option_invalid", `--region is ${text}, expected four numbers X1,Y1,X2,Y2`, {
      region: text,
    });
  }
  return { x1: x1!, y1: y1!, x2: x2!, y2: y2! };
}

function integerOption(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value)) return Number(value);
  throw new Florence2Error("option_invalid", `--${name} is ${value}, expected a whole number`, {
    [name]: value,
  });
}

const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(2)} s`;

const COMMANDS: Readonly<Record<string, () => Promise<(args: string[]) => Promise<number>>>> = {
  doctor: async () => (await import("./commands/doctor/doctor.ts")).doctor,
  quantize: async () => (await import("./commands/quantize/quantize.ts")).quantize,
};

const [command = "", ...rest] = process.argv.slice(2);
if (Object.hasOwn(COMMANDS, command)) {
  const run = await COMMANDS[command]!();
  process.exitCode = await run(rest).catch((error) => fail(error, `florence2 ${command}`));
} else {
  await main(process.argv.slice(2)).catch((error) => {
    process.exitCode = fail(error, "florence2");
  });
}
