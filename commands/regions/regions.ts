import { join } from "node:path";
import { Florence2Error } from "../../core/errors.ts";
import type { LabelledImage } from "../../datasets/labelled.ts";
import { readSource, SOURCES, sourceKind } from "../convert/read_source.ts";
import {
  DATA_SET_OPTIONS,
  expectApart,
  FORMATS_HELP,
  formatsOf,
  selectionOf,
  settingsOf,
  writeDataSet,
} from "../folders/data_set_output.ts";
import { rootOf } from "../folders/find_images.ts";
import { labelledAnswers } from "../folders/labelled_answers.ts";
import {
  FOLDER_HELP,
  FOLDER_OPTIONS,
  folderOf,
  type OpenModel,
  outOf,
  runFolder,
} from "../folders/run_folder.ts";
import { oneOf, readArguments } from "../options.ts";

const HELP = `florence2 regions FOLDER --boxes FILE [options]

Boxes in, and the same boxes back with what is in them: a category, a description, the text, or an outline.

  florence2 regions photos --boxes annotations.json --task segmentation
  florence2 regions photos --boxes boxes.csv --task description --format csv

  --boxes FILE           a data set: ${SOURCES.join(", ")}
  --from NAME            its format (default: found out)
  --task NAME            category, description (default), ocr or segmentation
  --format NAME          one of those below; several: --format coco,csv (default: coco)
  --split A/B/C, --seed, --copy, --symlink, --hardlink, --in-place, --exif, --conf-column, --category-id-start,
  --image-prefix, --guard-formulas: as of florence2 label
  --out DIR              (default: FOLDER-regions)

A category takes the place of the box's label. A description and a text stand beside it.

${FOLDER_HELP}
${FORMATS_HELP}`;

const OPTIONS = {
  ...FOLDER_OPTIONS,
  ...DATA_SET_OPTIONS,
  boxes: { type: "string" },
  from: { type: "string" },
  task: { type: "string" },
} as const;

const TASKS = {
  category: "<REGION_TO_CATEGORY>",
  description: "<REGION_TO_DESCRIPTION>",
  ocr: "<REGION_TO_OCR>",
  segmentation: "<REGION_TO_SEGMENTATION>",
} as const;

/** The command `florence2 regions`; resolves to its exit code. */
export async function regions(args: string[], open?: OpenModel): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS);
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const folder = folderOf("regions", positionals);
  const root = rootOf(folder);
  if (values.boxes === undefined) {
    throw new Florence2Error("option_invalid", "--boxes is missing: the file with the boxes.", {});
  }
  const kind = oneOf("task", values.task ?? "description", Object.keys(TASKS) as (keyof typeof TASKS)[]);
  const task = TASKS[kind];
  const source = await readSource(values.boxes, sourceKind(values.from), root);
  const given = new Map<string, LabelledImage>();
  for (const image of source.images) if (image.objects.length > 0) given.set(image.file, image);
  let orientationOf: (file: string) => number | undefined = () => undefined;
  const find = (file: string) => ({ path: join(root, file), orientation: orientationOf(file) });
  const formats = await formatsOf(values, "coco", find);
  const settings = settingsOf(values);
  const out = outOf(values, folder, "regions");
  expectApart(out, root, formats, settings);
  const selection = { ...selectionOf(values), suppression: "none" } as const;

  return runFolder(
    folder,
    { ...values, recursive: true },
    {
      name: "regions",
      out,
      origin: { task },
      given: (file) => given.get(file)?.objects,
      plan: [`${task} of ${[...given.values()].reduce((sum, { objects }) => sum + objects.length, 0)} boxes`],
      choose: (images) => images.filter(({ file }) => given.has(file)),
      known: (file) => ({ given: given.get(file)!.objects }),
      ask: (image, round) =>
        round === 0 ? (image.given ?? []).map(({ box }) => ({ task, region: box })) : [],
      async finish(log, images) {
        orientationOf = (file) => log.find(file)?.orientation;
        const files = new Set(images.map(({ file }) => file));
        const answered = {
          *[Symbol.iterator]() {
            for (const answers of log.read(files)) {
              yield { ...labelledAnswers(answers, "regions"), split: given.get(answers.file)?.split };
            }
          },
        };
        const details = await writeDataSet(answered, { folder: out, formats, settings, selection, find });
        return { ...details, selection };
      },
    },
    open,
  );
}
