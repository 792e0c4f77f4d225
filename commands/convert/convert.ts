import { join } from "node:path";
import { Florence2Error } from "../../core/errors.ts";
import type { SelectionOptions } from "../../datasets/selection.ts";
import {
  DATA_SET_HELP,
  DATA_SET_OPTIONS,
  expectApart,
  FORMATS_HELP,
  formatsOf,
  selectionOf,
  settingsOf,
  writeDataSet,
} from "../folders/data_set_output.ts";
import { lockFolder } from "../folders/lock.ts";
import { expectWritable } from "../folders/replace_file.ts";
import { readClasses } from "../label/classes.ts";
import { OUTPUT_OPTIONS, readArguments } from "../options.ts";
import { beQuiet, note } from "../terminal.ts";
import { readSource, SOURCES, sourceKind } from "./read_source.ts";

const HELP = `florence2 convert SOURCE --format NAME [options]

Makes formats out of answers that florence2 label, read, regions or caption have computed, or out of another format.
Nothing is asked again. What the run has kept is kept, unless options below say otherwise.

  florence2 convert photos-labels --format yolo --min-score 0.6 --images photos --out yolo
  florence2 convert annotations.json --format voc,csv

  SOURCE                 the folder of an earlier run, or a data set
  --from NAME            ${SOURCES.join(", ")} (default: found out)
  --images DIR           the folder that the names of images count from (default: that of the run, or SOURCE)
  --classes A,B          only these, in the order of their numbers
  --ontology FILE        prompts and their classes; see florence2 label --help
  --out DIR              (default: SOURCE-converted)
  --quiet, -q            errors only
  --help, -h

${DATA_SET_HELP}
${FORMATS_HELP}`;

const OPTIONS = {
  ...DATA_SET_OPTIONS,
  ...OUTPUT_OPTIONS,
  from: { type: "string" },
  images: { type: "string" },
  classes: { type: "string" },
  ontology: { type: "string" },
  out: { type: "string" },
} as const;

/** The command `florence2 convert`; resolves to its exit code. */
export async function convert(args: string[]): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS);
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const [path, ...others] = positionals;
  if (path === undefined || others.length > 0) {
    const message =
      "florence2 convert takes the folder of a run or a data set; see florence2 convert --help.";
    throw new Florence2Error("option_invalid", message, { found: positionals });
  }
  if (!values.format) {
    throw new Florence2Error(
      "option_invalid",
      "--format is missing; florence2 convert --help lists formats.",
      {},
    );
  }
  beQuiet(values.quiet === true);
  const source = await readSource(path, sourceKind(values.from), values.images ?? path);
  const images = values.images ?? source.folder ?? path;
  const find = (file: string) => ({
    path: join(images, file),
    orientation: source.answers?.get(file)?.orientation,
  });
  const formats = await formatsOf(values, "coco", find);
  const settings = settingsOf(values);
  const rules = readClasses(values.classes, values.ontology);
  const classes = rules ?? source.classes?.map((prompt) => ({ prompt }));
  const folder = values.out ?? `${path.replace(/[\\/]+$/, "").replace(/\.\w+$/, "")}-converted`;
  expectApart(folder, images, formats, settings);
  expectWritable(folder);
  const { suppression, ...chosen } = selectionOf(values, classes);
  const selection: SelectionOptions = {
    suppression: "none",
    ...source.selection,
    ...Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined)),
    ...(values.nms !== undefined && { suppression }),
  };
  const release = lockFolder(folder);
  const output = { folder, formats, settings, selection, find };
  const { files, objects } = await writeDataSet(source.images, output).finally(release);
  note(`${folder}: ${objects} objects in ${files} files`);
  return 0;
}
