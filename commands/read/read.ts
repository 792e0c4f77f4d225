import { join } from "node:path";
import { labelledFrom } from "../../datasets/answers.ts";
import { textFormats } from "../../datasets/formats/list.ts";
import {
  DATA_SET_OPTIONS,
  formatsFor,
  formatsOf,
  selectionOf,
  settingsOf,
  writeDataSet,
} from "../folders/data_set_output.ts";
import { rootOf } from "../folders/find_images.ts";
import {
  FOLDER_HELP,
  FOLDER_OPTIONS,
  folderOf,
  type OpenModel,
  outOf,
  runFolder,
} from "../folders/run_folder.ts";
import { oneOf, readArguments } from "../options.ts";

const PAGES = new Set([...textFormats.map(({ name }) => name), "pdf", "parquet"]);

const HELP = `florence2 read FOLDER [options]

Reads the text in images: lines with their places, as pages for search, archives and spreadsheets. A run that was
stopped goes on where it was.

  florence2 read scans --format txt
  florence2 read scans --format pdf,hocr --out searchable
  florence2 read scans --plain --format txt,md

  --format NAME          one of those below; several: --format txt,pdf (default: txt)
  --plain                text without places, which is less work; for txt, md, csv and jsonl
  --min-score N          confidence of a line at least, 0 to 1
  --guard-formulas       CSV that spreadsheets do not take for formulas
  --out DIR              (default: FOLDER-text)

${FOLDER_HELP}
Formats:
${formatsFor(() => ({ path: "" }))
  .filter(({ name }) => PAGES.has(name))
  .map(({ name, about }) => `  ${name.padEnd(12)} ${about}\n`)
  .join("")}
The model reads lines. Places of words in hOCR, ALTO and TSV are shares of their line, by the number of characters.
`;

const OPTIONS = {
  ...FOLDER_OPTIONS,
  format: DATA_SET_OPTIONS.format,
  "min-score": DATA_SET_OPTIONS["min-score"],
  "guard-formulas": DATA_SET_OPTIONS["guard-formulas"],
  plain: { type: "boolean" },
} as const;

/** The command `florence2 read`; resolves to its exit code. */
export async function read(args: string[], open?: OpenModel): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS);
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const folder = folderOf("read", positionals);
  const root = rootOf(folder);
  const out = outOf(values, folder, "text");
  const task = values.plain ? "<OCR>" : "<OCR_WITH_REGION>";
  let orientationOf: (file: string) => number | undefined = () => undefined;
  const find = (file: string) => ({ path: join(root, file), orientation: orientationOf(file) });
  for (const name of (values.format ?? []).flatMap((list) => list.split(","))) {
    oneOf("format", name, [...PAGES]);
  }
  const formats = await formatsOf(values, "txt", find);
  const settings = settingsOf({ ...values, "in-place": true });
  const selection = { ...selectionOf(values), suppression: "none" } as const;

  return runFolder(
    folder,
    values,
    {
      name: "read",
      out,
      origin: { task },
      plan: [task, `formats in ${out}: ${formats.map(({ name }) => name).join(", ")}`],
      ask: (_, round) => (round === 0 ? [{ task }] : []),
      async finish(log, images) {
        orientationOf = (file) => log.find(file)?.orientation;
        const files = new Set(images.map(({ file }) => file));
        const pages = {
          *[Symbol.iterator]() {
            for (const answers of log.read(files)) yield labelledFrom(answers);
          },
        };
        const { objects, imagesWithoutObjects, ...rest } = await writeDataSet(pages, {
          ...{ folder: out, formats, settings, selection, find },
        });
        return values.plain ? rest : { lines: objects, imagesWithoutText: imagesWithoutObjects, ...rest };
      },
    },
    open,
  );
}
