import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { Florence2Error } from "../../core/errors.ts";
import { type ImageAnswers, labelledFrom } from "../../datasets/answers.ts";
import {
  CAPTION_MODES,
  type CaptionStyle,
  mergeCaption,
  oneLine,
  styleCaption,
} from "../../datasets/captions.ts";
import { writeMetadata } from "../../datasets/formats/image_folder.ts";
import { writeCaptionCsv, writeCaptionParquet } from "../../datasets/formats/tables.ts";
import type { LabelledImage } from "../../datasets/labelled.ts";
import { splitEnding } from "../../datasets/names.ts";
import { loadParquetWriter } from "../folders/data_set_output.ts";
import { rootOf } from "../folders/find_images.ts";
import { readIfThere, replaceFile } from "../folders/replace_file.ts";
import { FOLDER_HELP, FOLDER_OPTIONS, folderOf, type OpenModel, runFolder } from "../folders/run_folder.ts";
import { oneOf, readArguments, wholeNumber } from "../options.ts";
import { note } from "../terminal.ts";

const HELP = `florence2 caption FOLDER [options]

Writes a caption beside each image, as trainers of diffusion models take them: one line in a file of the image's name.
A run that was stopped goes on where it was.

  florence2 caption photos
  florence2 caption photos --task more-detailed --clean --trigger "ohwx man" --mode overwrite
  florence2 caption photos --metadata jsonl --out captions

What is written:
  --task NAME            caption, detailed, more-detailed (default), or a prompt such as "<GENERATE_TAGS>"
  --mode NAME            treatment of existing captions: skip (default), overwrite, append or prepend
  --ext .ENDING          of the files (default: .txt; kohya's tools also know .caption)
  --prefix TEXT          before each caption
  --suffix TEXT          behind it
  --trigger WORD         before all else, with the separator behind it
  --separator TEXT       between captions, and behind the trigger (default: ", ")
  --clean                drop openings such as "The image shows", and quotes
  --max-words N          cut longer captions
  --metadata NAME        also a table of all captions, metadata.NAME for imagefolder of Hugging Face: jsonl, csv or
                         parquet (needs the package hyparquet-writer)
  --out DIR              where the files go, in the folders of the images (default: beside the images)
  --log DIR              where answers, errors and summary are kept (default: OUT/.florence2-captions)

${FOLDER_HELP}`;

const OPTIONS = {
  ...FOLDER_OPTIONS,
  task: { type: "string" },
  mode: { type: "string" },
  ext: { type: "string" },
  prefix: { type: "string" },
  suffix: { type: "string" },
  trigger: { type: "string" },
  separator: { type: "string" },
  clean: { type: "boolean" },
  "max-words": { type: "string" },
  metadata: { type: "string" },
  log: { type: "string" },
} as const;

const TASKS: Readonly<Record<string, string>> = {
  caption: "<CAPTION>",
  detailed: "<DETAILED_CAPTION>",
  "more-detailed": "<MORE_DETAILED_CAPTION>",
};

/** The command `florence2 caption`; resolves to its exit code. */
export async function caption(args: string[], open?: OpenModel): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS);
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const folder = folderOf("caption", positionals);
  const out = values.out ?? rootOf(folder);
  const mode = oneOf("mode", values.mode ?? "skip", CAPTION_MODES);
  const task = taskOf(values.task ?? "more-detailed");
  const metadata = values.metadata && oneOf("metadata", values.metadata, ["jsonl", "csv", "parquet"]);
  const parquet = metadata === "parquet" ? await loadParquetWriter() : undefined;
  const separator = values.separator ?? ", ";
  const style: CaptionStyle = {
    prefix: values.prefix,
    suffix: values.suffix,
    trigger: values.trigger,
    separator,
    clean: values.clean,
    maxWords: wholeNumber("max-words", values["max-words"], 1),
  };
  const ending = endingOf(values.ext ?? ".txt");
  const pathOf = (file: string) => join(out, `${splitEnding(file)[0]}${ending}`);
  const textOf = (answers: ImageAnswers) =>
    mergeCaption(mode, answers.existing, styleCaption(labelledFrom(answers).text ?? "", style), separator);
  const existingOf = (file: string) => readIfThere(pathOf(file));

  const logFolder = values.log ?? join(out, ".florence2-captions");

  return runFolder(
    folder,
    values,
    {
      name: "caption",
      out: logFolder,
      origin: { task },
      // Captions count that are there when a run begins; the files of one with other options are such captions.
      log: {
        run: { mode, ending, out: relative(logFolder, out), style: JSON.stringify(style) },
        replaces: true,
      },
      plan: [`${task}, mode ${mode}`, `captions: ${pathOf("NAME.jpg")}`],
      choose(images) {
        const first = new Map<string, string>();
        const chosen = images.filter(({ file }) => {
          const path = pathOf(file);
          if (first.has(path)) {
            note(`${file} has the same caption file as ${first.get(path)}: it is passed over`);
            return false;
          }
          first.set(path, file);
          return true;
        });
        return chosen;
      },
      known: (file) => {
        const existing = existingOf(file);
        return existing === undefined ? {} : { existing };
      },
      ...(mode === "skip" && { skips: (file: string) => Boolean(existingOf(file)?.trim()) }),
      ask: (_, round) => (round > 0 ? [] : [{ task }]),
      settle(answers) {
        const text = textOf(answers);
        const found = existingOf(answers.file);
        // A file that has changed since has its caption, which may have been edited.
        const isOld = !found?.trim() || found === answers.existing;
        if (text !== "" && isOld && found !== text) replaceFile(pathOf(answers.file), [text]);
      },
      isSettled: (file) => existsSync(pathOf(file)),
      async finish(log, images) {
        const captioned = {
          *[Symbol.iterator](): Generator<LabelledImage> {
            for (const { file } of images) {
              const own = log.find(file);
              const text = (mode === "skip" && oneLine(existingOf(file))) || (own ? textOf(own) : "");
              yield { file, width: own?.width ?? 0, height: own?.height ?? 0, objects: [], text };
            }
          },
        };
        if (metadata === "jsonl") {
          replaceFile(join(out, "metadata.jsonl"), writeMetadata(captioned, { classes: [] }));
        } else if (metadata === "csv") replaceFile(join(out, "metadata.csv"), writeCaptionCsv(captioned));
        else if (parquet)
          replaceFile(join(out, "metadata.parquet"), [writeCaptionParquet(captioned, parquet)]);
        let empty = 0;
        for (const { text } of captioned) if (text === "") empty++;
        return { captions: images.length - empty, empty };
      },
    },
    open,
  );
}

function taskOf(name: string): string {
  if (/^<.+/.test(name)) return name;
  return TASKS[oneOf("task", name, Object.keys(TASKS))]!;
}

function endingOf(ending: string): string {
  if (/^\.?\w[\w.-]*$/.test(ending)) return ending.startsWith(".") ? ending : `.${ending}`;
  throw new Florence2Error(
    "option_invalid",
    `--ext is ${JSON.stringify(ending)}, expected an ending such as .txt`,
    {
      ext: ending,
    },
  );
}
