import { join } from "node:path";
import { Florence2Error } from "../../core/errors.ts";
import type { ImageAnswers, Question } from "../../datasets/answers.ts";
import type { Images } from "../../datasets/formats/format.ts";
import { tilesOf } from "../../datasets/geometry/tiles.ts";
import { type ClassRule, type SelectionOptions, select } from "../../datasets/selection.ts";
import {
  DATA_SET_HELP,
  DATA_SET_OPTIONS,
  expectApart,
  FORMATS_HELP,
  formatsOf,
  selectionOf,
  settingsOf,
  share,
  writeDataSet,
} from "../folders/data_set_output.ts";
import { rootOf } from "../folders/find_images.ts";
import { labelledAnswers } from "../folders/labelled_answers.ts";
import { writePreview } from "../folders/preview.ts";
import {
  FOLDER_HELP,
  FOLDER_OPTIONS,
  folderOf,
  type OpenModel,
  outOf,
  runFolder,
} from "../folders/run_folder.ts";
import { oneOf, readArguments, wholeNumber } from "../options.ts";
import { readClasses } from "./classes.ts";

/**
 * Asked for a thing, the model answers with a box whether or not it is there, often with the whole image: larger boxes
 * are dropped. These confidences tell best what is there from what is not (`florence2 evaluate --absent 3`, for
 * grounding with `--alone --task "<CAPTION_TO_PHRASE_GROUNDING>"`).
 */
const PRESENT = { ovd: 0.937, grounding: 0.319 };
const LARGEST = 0.95;
const HELP = `florence2 label FOLDER [options]

Draws boxes, outlines or quads for a detector's training set. Answers go to OUT/answers.jsonl as they come, so that a
run that was stopped goes on where it was; the formats are made from them, and florence2 convert makes others without
asking again.

  florence2 label photos --classes car,person --format yolo --split 0.9/0.1
  florence2 label photos --ontology classes.json --format coco,yolo --min-score 0.5 --preview 20
  florence2 label photos --task od --format coco

What is looked for:
  --classes A,B          these, each asked by itself about the image seen once; their order is that of the numbers
  --ontology FILE        prompts and their classes: JSON {"prompt": "class"} or a list of { "prompt", "label",
                         "minScore", "minArea", "maxArea" }, or lines "prompt: class"
  --task NAME            without classes: od (default), dense, proposal or ocr
                         Asked for a class, the model always answers with a box. Without --min-score and --max-area
                         those below ${PRESENT.ovd} (grounding: ${PRESENT.grounding}) or above ${LARGEST} of the image are dropped.
  --method NAME          how classes are asked for: ovd (default), grounding, or od (what it finds of these classes)
  --seg                  outlines of the boxes that are kept
  --tile N               also looks at tiles of N pixels, for small things
  --overlap N            of tiles, as a share (default: 0.2)
  --preview N            preview.html with the first N images
  --out DIR              (default: FOLDER-labels)

${DATA_SET_HELP}
${FOLDER_HELP}
${FORMATS_HELP}`;

const OPTIONS = {
  ...FOLDER_OPTIONS,
  ...DATA_SET_OPTIONS,
  classes: { type: "string" },
  ontology: { type: "string" },
  task: { type: "string" },
  method: { type: "string" },
  seg: { type: "boolean" },
  tile: { type: "string" },
  overlap: { type: "string" },
  preview: { type: "string" },
} as const;

const TASKS = {
  od: "<OD>",
  dense: "<DENSE_REGION_CAPTION>",
  proposal: "<REGION_PROPOSAL>",
  ocr: "<OCR_WITH_REGION>",
} as const;
const METHODS = {
  ovd: "<OPEN_VOCABULARY_DETECTION>",
  grounding: "<CAPTION_TO_PHRASE_GROUNDING>",
  od: "<OD>",
} as const;

/** The command `florence2 label`; resolves to its exit code. */
export async function label(args: string[], open?: OpenModel): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS);
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const folder = folderOf("label", positionals);
  const root = rootOf(folder);
  const classes = readClasses(values.classes, values.ontology);
  const tile = wholeNumber("tile", values.tile, 32);
  const overlap = share("overlap", values.overlap) ?? 0.2;
  if (overlap >= 1) throw new Florence2Error("option_invalid", "--overlap is 1, expected less", { overlap });
  const { questions, minScore } = questionsOf(values, classes);
  const given = selectionOf(values, classes);
  const selection: SelectionOptions =
    minScore === undefined
      ? given
      : { ...given, minScore: given.minScore ?? minScore, maxArea: given.maxArea ?? LARGEST };
  let orientations: (file: string) => number | undefined = () => undefined;
  const find = (file: string) => ({ path: join(root, file), orientation: orientations(file) });
  const formats = await formatsOf(values, "coco", find);
  const settings = settingsOf(values);
  const out = outOf(values, folder, "labels");
  expectApart(out, root, formats, settings);
  const preview = wholeNumber("preview", values.preview);
  const views = (size: { width: number; height: number }) =>
    tile === undefined ? [undefined] : [undefined, ...tilesOf(size, tile, overlap)];

  return runFolder(
    folder,
    tile === undefined ? values : { ...values, batch: values.batch ?? "1" },
    {
      name: "label",
      out,
      origin: {
        questions: JSON.stringify(questions),
        tiles: tile === undefined ? null : `${tile} ${overlap}`,
        outlines: values.seg ? JSON.stringify(selection) : null,
      },
      plan: [
        `questions about each image: ${listed(questions.map(({ task, text }) => [task, text].filter(Boolean).join(" ")))}`,
        `formats in ${out}: ${formats.map(({ name }) => name).join(", ")}`,
      ],
      questions: questions.length,
      views,
      ask(image, round) {
        if (round === 0) {
          return views(image).flatMap((view) =>
            questions.map((question) => ({ ...question, ...(view && { view }) })),
          );
        }
        return round === 1 && values.seg ? outlinesOf(image, selection) : [];
      },
      async finish(log, images) {
        orientations = (file) => log.find(file)?.orientation;
        const names = new Set(images.map(({ file }) => file));
        const labelled: Images = {
          *[Symbol.iterator]() {
            for (const answers of log.read(names)) yield labelledImage(answers);
          },
        };
        if (preview) {
          const kept = {
            *[Symbol.iterator]() {
              for (const image of labelled) yield select(image, selection);
            },
          };
          writePreview(join(out, "preview.html"), kept, preview, find);
        }
        const details = await writeDataSet(labelled, { folder: out, formats, settings, selection, find });
        return { ...details, selection };
      },
    },
    open,
  );
}

/** The first ten of a list, and how many there are. */
function listed(texts: readonly string[]): string {
  const more = texts.length > 10 ? `, ... (${texts.length})` : "";
  return `${texts.slice(0, 10).join(", ")}${more}`;
}

/** The questions about every image; where they name things that may be absent, the confidence of what is there. */
function questionsOf(
  { task, method }: { readonly task?: string; readonly method?: string },
  classes: readonly ClassRule[] | undefined,
): { questions: Question[]; minScore?: number } {
  if (classes && task !== undefined) {
    throw new Florence2Error("option_invalid", "--task goes not together with --classes or --ontology.", {
      task,
    });
  }
  if (!classes) {
    if (method !== undefined) {
      throw new Florence2Error("option_invalid", "--method needs --classes or --ontology.", { method });
    }
    const name = oneOf("task", task ?? "od", Object.keys(TASKS) as (keyof typeof TASKS)[]);
    return { questions: [{ task: TASKS[name] }] };
  }
  const name = oneOf("method", method ?? "ovd", Object.keys(METHODS) as (keyof typeof METHODS)[]);
  if (name === "od") return { questions: [{ task: METHODS.od }] };
  const questions = classes.map(({ prompt }) => ({ task: METHODS[name], text: prompt }));
  return { questions, minScore: PRESENT[name] };
}

/** Asks for the outlines of the boxes that go into the data set. */
function outlinesOf(image: ImageAnswers, selection: SelectionOptions): Question[] {
  const { objects } = select({ ...labelledImage(image) }, { ...selection, classes: selection.classes });
  return objects.map(({ box }) => ({ task: "<REGION_TO_SEGMENTATION>", region: box }));
}

const labelledImage = (answers: ImageAnswers) => labelledAnswers(answers, "label");
