import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { Florence2Error } from "../../core/errors.ts";
import type { ImageAnswers } from "../../datasets/answers.ts";
import { readCoco } from "../../datasets/formats/coco.ts";
import { readCvat } from "../../datasets/formats/cvat.ts";
import type { Images } from "../../datasets/formats/format.ts";
import { readMetadata } from "../../datasets/formats/image_folder.ts";
import { readLabelStudio } from "../../datasets/formats/label_studio.ts";
import { readCsv, readImageLines } from "../../datasets/formats/tables.ts";
import { readVoc } from "../../datasets/formats/voc.ts";
import { readDataYaml, readYoloLabels } from "../../datasets/formats/yolo.ts";
import type { LabelledImage } from "../../datasets/labelled.ts";
import type { SelectionOptions } from "../../datasets/selection.ts";
import { type JsonValue, parseJson } from "../../files/json.ts";
import { loadSharp } from "../../model/image/sharp.ts";
import type { Origin } from "../folders/answer_log.ts";
import { labelledAnswers } from "../folders/labelled_answers.ts";
import { oneOf } from "../options.ts";

export const SOURCES = [
  "answers",
  "coco",
  "yolo",
  "voc",
  "labelstudio",
  "cvat",
  "hf",
  "csv",
  "jsonl",
] as const;
export type SourceKind = (typeof SOURCES)[number];

/** What `--from` names. @throws {Florence2Error} `option_invalid` */
export function sourceKind(name: string | undefined): SourceKind | undefined {
  return name === undefined ? undefined : oneOf("from", name, SOURCES);
}

export interface Source {
  readonly kind: SourceKind;
  readonly images: Images;
  /** Classes in the order of their numbers, where the format has one. */
  readonly classes?: readonly string[];
  /** The answers of an image, where the source has them. */
  readonly answers?: Pick<ReadonlyMap<string, ImageAnswers>, "get">;
  /** What the run that answered has kept, if it came to its end. */
  readonly selection?: SelectionOptions;
  /** The folder of its images. */
  readonly folder?: string;
}

/**
 * Reads a data set: a file, or a folder as the formats here have it.
 *
 * @param path of the folder or file
 * @param kind of the format; undefined to find out
 * @param folder of the images, for formats that count in shares of them
 * @throws {Florence2Error} `file_not_found`; `data_invalid` with file and place; `option_invalid` if the format
 *   cannot be told
 */
export async function readSource(
  path: string,
  kind: SourceKind | undefined,
  folder: string,
): Promise<Source> {
  if (!existsSync(path)) throw new Florence2Error("file_not_found", `${path} is missing.`, { path });
  const known = kind ?? kindOf(path);
  return { kind: known, ...(await readers[known](path, folder)) };
}

type Read = Omit<Source, "kind">;

const readers: Readonly<Record<SourceKind, (path: string, folder: string) => Promise<Read> | Read>> = {
  answers: (path) => readAnswers(fileIn(path, "answers.jsonl")),
  coco: (path) => {
    const files = partsOf(path, "annotations", /^instances(_\w+)?\.json$/);
    const parts = files.map(({ file, split }) => ({ split, value: jsonOf(file), file }));
    const images = parts.flatMap(({ value, file, split }) => withSplit(readCoco(value, file), split));
    const categories = (parts[0]!.value as { categories?: { id: number; name: string }[] }).categories ?? [];
    const classes = [...categories].sort((a, b) => a.id - b.id).map(({ name }) => name);
    return { images, classes };
  },
  yolo: readYolo,
  voc: (path) => ({ images: filesBelow(path, ".xml").map((file) => readVoc(textOf(file), file)) }),
  labelstudio: (path) => ({
    images: partsOf(path, ".", /^tasks\.json$/).flatMap(({ file, split }) =>
      withSplit(readLabelStudio(jsonOf(file), file), split),
    ),
  }),
  cvat: (path) => ({
    images: partsOf(path, ".", /^annotations\.xml$/).flatMap(({ file, split }) =>
      withSplit(readCvat(textOf(file), file), split),
    ),
  }),
  hf: readImageFolder,
  csv: (path) => {
    const file = fileIn(path, "objects.csv");
    return { images: readCsv(textOf(file), file) };
  },
  jsonl: (path) => {
    const file = fileIn(path, "images.jsonl");
    return { images: readImageLines(textOf(file), file) };
  },
};

function kindOf(path: string): SourceKind {
  const has = (name: string) => existsSync(join(path, name));
  if (statSync(path).isDirectory()) {
    if (has("answers.jsonl")) return "answers";
    if (has("data.yaml")) return "yolo";
    if (has("Annotations")) return "voc";
    if (has("annotations")) return "coco";
    const files = filesBelow(path, "").map((file) => basename(file));
    for (const [name, kind] of Object.entries(NAMES)) if (files.includes(name)) return kind;
  } else if (NAMES[basename(path)]) return NAMES[basename(path)]!;
  else if (path.endsWith(".csv")) return "csv";
  else if (path.endsWith(".jsonl")) return "jsonl";
  else if (path.endsWith(".yaml")) return "yolo";
  else if (path.endsWith(".xml")) return "cvat";
  else if (path.endsWith(".json")) return Array.isArray(jsonOf(path)) ? "labelstudio" : "coco";
  const message = `The format of ${path} is not recognised; name it with --from: ${SOURCES.join(", ")}.`;
  throw new Florence2Error("option_invalid", message, { path });
}

const NAMES: Readonly<Record<string, SourceKind>> = {
  "answers.jsonl": "answers",
  "tasks.json": "labelstudio",
  "annotations.xml": "cvat",
  "metadata.jsonl": "hf",
  "objects.csv": "csv",
  "images.jsonl": "jsonl",
};

/** Lines are parsed when they are needed, each time anew. */
function readAnswers(file: string): Read {
  const places = new Map<string, string>();
  let command: unknown;
  for (const line of textOf(file).split("\n").filter(Boolean)) {
    const { file: name, origin } = JSON.parse(line) as Partial<ImageAnswers> & { origin?: Origin };
    if (origin) command = origin.command;
    // Other lines begin a run with other options.
    if (name !== undefined) places.set(name, line);
  }
  const files = [...places.keys()].sort();
  const answersOf = (name: string) => JSON.parse(places.get(name)!) as ImageAnswers;
  const images = {
    *[Symbol.iterator]() {
      for (const name of files) yield labelledAnswers(answersOf(name), command);
    },
  };
  const answers = { get: (name: string) => (places.has(name) ? answersOf(name) : undefined) };
  return { images, answers, ...summaryBeside(file) };
}

function summaryBeside(file: string): Pick<Source, "selection" | "folder"> {
  const path = join(dirname(file), "summary.json");
  if (!existsSync(path)) return {};
  const { selection, folder } = jsonOf(path) as { selection?: SelectionOptions; folder?: string };
  return {
    ...(selection && { selection }),
    ...(typeof folder === "string" && { folder: join(dirname(file), folder) }),
  };
}

async function readYolo(path: string, folder: string): Promise<Read> {
  const root = statSync(path).isDirectory() ? path : dirname(path);
  const yaml = fileIn(path, "data.yaml");
  const classes = readDataYaml(textOf(yaml), yaml);
  const stems = new Map(imagesBelow(folder).map((file) => [file.replace(/\.[^./]+$/, ""), file]));
  const images: LabelledImage[] = [];
  for (const file of filesBelow(join(root, "labels"), ".txt")) {
    const below = relative(join(root, "labels"), file)
      .split(sep)
      .join("/")
      .replace(/\.txt$/, "");
    const [split, ...rest] = below.split("/");
    const image = stems.get(rest.join("/")) ?? stems.get(below) ?? stems.get(`images/${below}`);
    if (image === undefined) {
      const message = `${file} belongs to no image of ${folder}; --images names their folder.`;
      throw new Florence2Error("file_not_found", message, { file, folder });
    }
    const size = await sizeOf(join(folder, image));
    const objects = readYoloLabels(textOf(file), file, size, classes);
    images.push({ file: image, ...size, objects, ...(rest.length > 0 && isSplit(split) && { split }) });
  }
  return { images, classes };
}

async function readImageFolder(path: string, folder: string): Promise<Read> {
  const root = statSync(path).isDirectory() ? path : dirname(path);
  const classesFile = join(root, "classes.json");
  const classes = existsSync(classesFile) ? (jsonOf(classesFile) as string[]) : [];
  const images: LabelledImage[] = [];
  for (const { file, split } of partsOf(path, ".", /^metadata\.jsonl$/)) {
    const content = textOf(file);
    const sizes = new Map<string, { width: number; height: number }>();
    for (const { file_name: name } of content
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line))) {
      const places = [join(dirname(file), name), join(folder, name)];
      sizes.set(name, await sizeOf(places.find(existsSync) ?? places[1]!));
    }
    images.push(
      ...withSplit(
        readMetadata(content, file, classes, (name) => sizes.get(name)!),
        split,
      ),
    );
  }
  return { images, classes };
}

/** The size as seen, in pixels. */
async function sizeOf(path: string): Promise<{ width: number; height: number }> {
  const sharp = await loadSharp();
  const { autoOrient } = await sharp(path).metadata();
  return autoOrient;
}

interface Part {
  readonly file: string;
  readonly split?: string;
}

/** The files of a data set's parts, the split in the name (instances_train.json) or in the folder (train/tasks.json). */
function partsOf(path: string, folder: string, name: RegExp): Part[] {
  if (!statSync(path).isDirectory()) return [{ file: path }];
  const root = join(path, folder);
  const found = filesBelow(existsSync(root) ? root : path, "").flatMap((file): Part[] => {
    if (!name.test(basename(file))) return [];
    const split = name.exec(basename(file))?.[1]?.slice(1) ?? basename(dirname(file));
    return [{ file, ...(isSplit(split) && { split }) }];
  });
  if (found.length > 0) return found;
  throw new Florence2Error("file_not_found", `${path} has no file that is named ${name.source}.`, { path });
}

const isSplit = (name: string | undefined) => /^(train|val|valid|validation|test)$/.test(name ?? "");

function withSplit(images: readonly LabelledImage[], split: string | undefined): LabelledImage[] {
  return images.map((image) => ({ ...image, ...(split !== undefined && { split }) }));
}

function fileIn(path: string, name: string): string {
  const file = statSync(path).isDirectory() ? join(path, name) : path;
  if (existsSync(file)) return file;
  throw new Florence2Error("file_not_found", `${file} is missing.`, { path: file });
}

function filesBelow(folder: string, ending: string): string[] {
  if (!statSync(folder).isDirectory()) return [folder];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function imagesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return filesBelow(folder, "")
    .filter((file) => /\.(avif|gif|jpe?g|png|tiff?|webp)$/i.test(file))
    .map((file) => relative(folder, file).split(sep).join("/"));
}

const textOf = (file: string) => readFileSync(file, "utf8");
const jsonOf = (file: string): JsonValue => parseJson(textOf(file), file, "data_invalid");
