import { buffer } from "node:stream/consumers";
import { Florence2Error, isDeviceLost } from "../../core/errors.ts";
import type { Florence2 } from "../../model/florence2.ts";
import { loadImage } from "../../model/image/load.ts";
import type { RgbImage } from "../../model/image/pixels.ts";
import type { Result } from "../../model/results.ts";
import { type AnswerOf, tasks } from "../../model/tasks/index.ts";
import { BUNDLED_IMAGE } from "../bundled.ts";
import { openModel, warnOfPhotographs } from "../open_model.ts";
import {
  DEVICES,
  DTYPES,
  GENERATION_OPTIONS,
  generationOptions,
  MODEL_OPTIONS,
  modelOf,
  OUTPUT_OPTIONS,
  oneOf,
  readArguments,
  wholeNumber,
} from "../options.ts";
import { beQuiet, counted, errorLine, note, seconds, showProgress, working } from "../terminal.ts";
import { imagesNamed, looksLikeImage, type NamedImage } from "./images.ts";
import { planOutputs, type Targets, writeAnnotated } from "./outputs.ts";
import { jsonLine, printAnswer } from "./print.ts";
import { type CommandQuestion, parseRegion, questionOf, questionsFor, taskNamed } from "./questions.ts";

export const HELP = `florence2 [image ...] [task ...] [options]

Answers tasks about images. Without a task: caption, objects and text. Without an image: a bundled drawing.

  image                  a file, a folder, a pattern such as "photos/*.jpg", an address, or - for stdin
  task                   a name, such as OD or <OD>, or a prompt in words

  --text TEXT            for tasks that take a text; given several times, each is looked for
  --region X1,Y1,X2,Y2   for tasks that take a region, in pixels
  --model MODEL          base, large, base-ft or large-ft (Microsoft's, downloaded once), a folder, or a repository
                         such as microsoft/Florence-2-base (default: the bundled one, which knows drawn scenes only)
  --revision NAME        branch, tag or commit of the repository (default: main)
  --device NAME          auto, gpu or cpu (default: auto)
  --threads N            of the CPU engine (default: one for each processor, at most 16)
  --dtype NAME           how weights are held: auto (as stored), f32, f16, q8 or q4 (default: auto)
  --num-beams N          hypotheses of beam search (default: the model's own, 3)
  --max-new-tokens N     length of an answer at most
  --out PATH             writes annotated images: a .png, .jpg, .webp or .svg file, a folder, or - for stdout
  --json                 prints an object a line for each image and task
  --verbose              with --json: tokens and log-probabilities too
  -q, --quiet            leaves out everything but answers and errors
  -h, --help

Tasks: ${tasks.map(({ token }) => token.slice(1, -1)).join(" ")}
`;

const FIRST_TASKS = ["<CAPTION>", "<OD>", "<OCR>"];

/** The command `florence2 [describe]`; resolves to its exit code: 1 if one of several images failed. */
export async function describe(args: string[]): Promise<number> {
  const { values, positionals } = readArguments(args, {
    text: { type: "string", multiple: true },
    region: { type: "string" },
    ...MODEL_OPTIONS,
    ...GENERATION_OPTIONS,
    out: { type: "string" },
    json: { type: "boolean" },
    verbose: { type: "boolean" },
    ...OUTPUT_OPTIONS,
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  beQuiet(values.quiet ?? false);
  const isImage = (argument: string) => taskNamed(argument) === undefined && looksLikeImage(argument);
  const named = positionals.filter(isImage);
  const prompts = positionals.filter((argument) => !isImage(argument)).map(questionOf);

  // All that can be checked is checked before a model is downloaded and loaded.
  const asked = prompts.length > 0 ? prompts : FIRST_TASKS;
  const region = parseRegion(values.region);
  const decoding = generationOptions(values);
  const device = oneOf("device", values.device ?? "auto", DEVICES);
  const dtype = oneOf("dtype", values.dtype ?? "auto", DTYPES);
  const threads = wholeNumber("threads", values.threads, 1);
  const images = named.length > 0 ? imagesNamed(named) : [{ name: "scene.png", source: BUNDLED_IMAGE }];
  const targets = planOutputs(values.out, images);
  const first = await load(images[0]!);
  const questions = questionsFor(asked, values.text ?? [], region, first);
  const source = modelOf(values.model);
  warnOfPhotographs(
    source,
    images.map((image) => image.source),
  );

  const started = performance.now();
  const model = await openModel(source, { device, dtype, threads, revision: values.revision });
  const print = values.json
    ? (image: NamedImage, { task, text, region }: CommandQuestion, result: Result<AnswerOf<string>>) =>
        console.log(jsonLine({ file: image.name, task, input: text ?? region }, result, values.verbose))
    : printAnswer;
  let failures = 0;
  try {
    note(`model on ${model.device.name}: ${seconds(started)}`);
    const session = { model, questions, decoding, targets, isFirst: true };
    for (const [i, image] of images.entries()) {
      if (images.length > 1 && !values.json) console.log(`\n${image.name}`);
      try {
        await answer(session, image, i === 0 ? first : await load(image), print);
      } catch (error) {
        if (images.length === 1 || !(error instanceof Florence2Error) || isDeviceLost(error)) throw error;
        failures++;
        process.stderr.write(`${image.name}: ${errorLine(error)}\n`);
      }
    }
  } finally {
    showProgress("");
    model.dispose();
  }
  if (failures > 0) process.stderr.write(`${failures} of ${images.length} images failed.\n`);
  return failures > 0 ? 1 : 0;
}

async function load({ source }: NamedImage): Promise<RgbImage> {
  return loadImage(source === "-" ? await buffer(process.stdin) : source);
}

interface Session {
  readonly model: Florence2;
  readonly questions: readonly CommandQuestion[];
  readonly decoding: ReturnType<typeof generationOptions>;
  readonly targets: Targets;
  /** Whether nothing was asked yet: a GPU then compiles its shaders first. */
  isFirst: boolean;
}

async function answer(
  session: Session,
  image: NamedImage,
  pixels: RgbImage,
  print: (image: NamedImage, question: CommandQuestion, result: Result<AnswerOf<string>>) => void,
): Promise<void> {
  const { model, questions, decoding, targets } = session;
  const compiling =
    session.isFirst && model.device.kind === "gpu" ? "compiling shaders for this GPU, and " : "";
  session.isFirst = false;
  const seeing = performance.now();
  const encoded = await working(`${compiling}looking at ${image.name}`, () =>
    model.encodeImage({ ...pixels, channels: 3 }),
  );
  try {
    note(`${image.name}, ${pixels.width} x ${pixels.height}, seen: ${seconds(seeing)}`);
    const results: Result<AnswerOf<string>>[] = [];
    for (const question of questions) {
      const { task, ...input } = question;
      const asking = performance.now();
      const onStep = ({ step }: { step: number }) => showProgress(`${task} ${counted(step + 1, "token")}`);
      const result = await working(`${compiling}answering ${task}`, () =>
        model.run(encoded, task, { ...input, ...decoding, onStep }),
      );
      note(`${task}: ${counted(result.tokens.length, "token")}, ${seconds(asking)}`);
      if (targets.get(image) !== "-") print(image, question, result);
      results.push(result);
    }
    const target = targets.get(image);
    if (target === undefined) return;
    // The last answer that has places, or else the last one's words.
    const drawn = results.findLast(({ answer }) => typeof answer !== "string") ?? results.at(-1)!;
    await writeAnnotated(target, pixels, drawn.answer, questions.find(({ region }) => region)?.region);
    if (target !== "-") note(`annotated image: ${target}`);
  } finally {
    encoded.dispose();
  }
}
