/** Answers to data sets: what `label`, `regions` and `convert` have in common. */
import { resolve } from "node:path";
import type { ParseArgsConfig } from "node:util";
import { Florence2Error, quote } from "../../core/errors.ts";
import type { Format, Images, WriteOptions } from "../../datasets/formats/format.ts";
import { labelFormats, textFormats } from "../../datasets/formats/list.ts";
import { type ParquetWriter, writeParquet } from "../../datasets/formats/tables.ts";
import type { Suppression } from "../../datasets/geometry/suppression.ts";
import { labelsOf } from "../../datasets/labelled.ts";
import { type ClassRule, classNames, type SelectionOptions, select } from "../../datasets/selection.ts";
import { parseSplit, splitFiles } from "../../datasets/splits.ts";
import { oneOf, wholeNumber } from "../options.ts";
import { pdfFormat } from "./pdf_format.ts";
import { FolderWriter, type ImagePlacing, PLACEMENTS, type Placement } from "./write_files.ts";

export const DATA_SET_OPTIONS = {
  format: { type: "string", multiple: true },
  "min-score": { type: "string" },
  nms: { type: "string" },
  iou: { type: "string" },
  "min-area": { type: "string" },
  "max-area": { type: "string" },
  "max-per-image": { type: "string" },
  split: { type: "string" },
  seed: { type: "string" },
  copy: { type: "boolean" },
  symlink: { type: "boolean" },
  hardlink: { type: "boolean" },
  "in-place": { type: "boolean" },
  exif: { type: "string" },
  "conf-column": { type: "boolean" },
  "category-id-start": { type: "string" },
  "image-prefix": { type: "string" },
  "guard-formulas": { type: "boolean" },
} as const satisfies NonNullable<ParseArgsConfig["options"]>;

type Value<Option> = Option extends { multiple: true }
  ? string[]
  : Option extends { type: "boolean" }
    ? boolean
    : string;
export type DataSetValues = {
  readonly [Name in keyof typeof DATA_SET_OPTIONS]?: Value<(typeof DATA_SET_OPTIONS)[Name]>;
};

/** Parquet is written by a package that is not part of this one. */
const parquet: Format = {
  name: "parquet",
  about: "Parquet: the rows of CSV; needs the package hyparquet-writer",
  async *write(images) {
    yield { path: "objects.parquet", content: writeParquet(images, await loadParquetWriter()) };
  },
};

/** Every format by its name; PDF needs the images. */
export const formatsFor = (find: ImagePlacing["find"]): readonly Format[] => [
  ...new Set([...labelFormats, ...textFormats, parquet, pdfFormat(find)]),
];

export const FORMATS_HELP = `Formats:
${formatsFor(() => ({ path: "" }))
  .map(({ name, about }) => `  ${name.padEnd(12)} ${about}\n`)
  .join("")}`;

export const DATA_SET_HELP = `What is kept:
  --min-score N          confidence at least, 0 to 1
  --nms NAME             drop repetitions: class (default), agnostic or none
  --iou N                overlap from which a box is a repetition (default: 0.5)
  --min-area N           share of the image at least (default: 0)
  --max-area N           share of the image at most (default: 1)
  --max-per-image N      the best of each image

How it is written:
  --format NAME          one of those below; several: --format coco,yolo
  --split A/B/C          shares of train, val and test: 0.8/0.1/0.1
  --seed N               of the split (default: 0)
  --copy                 put copies of the images into the data set (default for yolo and hf)
  --symlink, --hardlink  links in place of copies
  --in-place             no images: names count from the folder
  --exif bake|keep       whether copies of rotated images are stored upright (default: bake)
  --conf-column          confidences in YOLO's lines; trainers do not take them
  --category-id-start N  COCO's number of the first class (default: 1)
  --image-prefix TEXT    before the paths of images in Label Studio (default: /data/local-files/?d=)
  --guard-formulas       CSV that spreadsheets do not take for formulas
`;

/** A number from 0 to 1. */
export function share(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const found = Number(value);
  if (value.trim() !== "" && found >= 0 && found <= 1) return found;
  throw new Florence2Error("option_invalid", `--${name} is ${quote(value)}, expected a number from 0 to 1`, {
    [name]: value,
  });
}

/** Selects the answers that the options keep. */
export function selectionOf(values: DataSetValues, classes?: readonly ClassRule[]): SelectionOptions {
  return {
    classes,
    minScore: share("min-score", values["min-score"]),
    minArea: share("min-area", values["min-area"]),
    maxArea: share("max-area", values["max-area"]),
    suppression: oneOf("nms", values.nms ?? "class", ["class", "agnostic", "none"] satisfies Suppression[]),
    iou: share("iou", values.iou),
    maxPerImage: wholeNumber("max-per-image", values["max-per-image"], 1),
  };
}

/**
 * The formats that options name, in their order.
 *
 * @throws {Florence2Error} `option_invalid` for one that is none, with the nearest; `dependency_missing` if the
 *   package that writes one is not there
 */
export async function formatsOf(
  values: DataSetValues,
  usual: string,
  find: ImagePlacing["find"],
): Promise<Format[]> {
  const all = formatsFor(find);
  const names = (values.format ?? [usual]).flatMap((list) => list.split(",")).filter(Boolean);
  if (names.includes(parquet.name)) await loadParquetWriter();
  return [...new Set(names)].map((name) => {
    const known = oneOf(
      "format",
      name,
      all.map((format) => format.name),
    );
    return all.find((format) => format.name === known)!;
  });
}

/** How a data set is written, by its options. */
export interface DataSetSettings {
  readonly shares?: readonly number[];
  readonly seed: number;
  /** Undefined: as each format needs it. */
  readonly placement?: Placement;
  readonly bake: boolean;
  readonly options: Omit<WriteOptions, "classes" | "withImages">;
}

/** Reads the options. @throws {Florence2Error} `option_invalid` */
export function settingsOf(values: DataSetValues): DataSetSettings {
  return {
    shares: values.split === undefined ? undefined : parseSplit(values.split),
    seed: wholeNumber("seed", values.seed) ?? 0,
    placement: placementOf(values),
    bake: oneOf("exif", values.exif ?? "bake", ["bake", "keep"]) === "bake",
    options: {
      firstCategoryId: wholeNumber("category-id-start", values["category-id-start"]),
      confidenceColumn: values["conf-column"],
      imagePrefix: values["image-prefix"],
      guardFormulas: values["guard-formulas"],
    },
  };
}

/**
 * Refuses to put copies of images into the folder that they are in, before anything is computed.
 *
 * @throws {Florence2Error} `option_invalid`
 */
export function expectApart(
  out: string,
  images: string,
  formats: readonly Format[],
  { placement }: DataSetSettings,
): void {
  const copies = formats.some((format) => withImages(format, placement));
  if (!copies || formats.length > 1 || resolve(out) !== resolve(images)) return;
  const message = `--out ${out} is the folder of the images, and their copies go there. Choose another folder, or --in-place.`;
  throw new Florence2Error("option_invalid", message, { out, images });
}

/** Whether images become part of a data set. */
function withImages({ needsImages = false }: Format, placement: Placement | undefined): boolean {
  return placement ? placement !== "in-place" : needsImages;
}

export interface DataSetOutput {
  readonly folder: string;
  readonly formats: readonly Format[];
  readonly settings: DataSetSettings;
  readonly selection: SelectionOptions;
  readonly find: ImagePlacing["find"];
}

/**
 * Writes images in each format; of several, each into a folder of its name.
 *
 * @param images as found, before anything is chosen among
 * @returns counts for the summary
 */
export async function writeDataSet(images: Images, output: DataSetOutput) {
  const { folder, formats, settings, selection, find } = output;
  const { shares, seed, placement, bake, options } = settings;
  const files = Array.from(images, ({ file }) => file);
  const splits = shares && splitFiles(files, shares, seed);
  const chosen: Images = {
    *[Symbol.iterator]() {
      for (const image of images) {
        const split = splits?.get(image.file) ?? image.split;
        yield { ...select(image, selection), ...(split !== undefined && { split }) };
      }
    },
  };
  const classes = selection.classes ? classNames(selection.classes) : labelsOf(chosen);
  const writer = new FolderWriter(folder);
  for (const format of formats) {
    const below = formats.length > 1 ? format.name : "";
    const placing = { placement: placement ?? "copy", bake, find } as const;
    await writer.write(
      below,
      format.write(chosen, { ...options, classes, withImages: withImages(format, placement) }),
      placing,
    );
  }
  return { ...countsOf(chosen, classes), formats: formats.map(({ name }) => name), files: writer.finish() };
}

function countsOf(images: Images, classes: readonly string[]) {
  const counts = new Map(classes.map((name) => [name, 0]));
  let [objects, empty] = [0, 0];
  for (const image of images) {
    objects += image.objects.length;
    if (image.objects.length === 0) empty++;
    for (const { label } of image.objects) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return { objects, imagesWithoutObjects: empty, classes: Object.fromEntries(counts) };
}

function placementOf(values: DataSetValues): Placement | undefined {
  const [chosen, ...others] = PLACEMENTS.filter((name) => values[name]);
  if (others.length === 0) return chosen;
  const message = `--${chosen} and --${others[0]} go not together.`;
  throw new Florence2Error("option_invalid", message, { chosen, others });
}

/**
 * The package that writes Parquet, loaded on first use.
 *
 * @throws {Florence2Error} `dependency_missing`
 */
export async function loadParquetWriter(): Promise<ParquetWriter> {
  const name = "hyparquet-writer";
  try {
    return (await import(name)) as ParquetWriter;
  } catch (error) {
    const message = `Parquet is written by the package "${name}", which cannot be loaded. Install it with: npm install ${name}`;
    throw new Florence2Error("dependency_missing", message, { package: name }, error);
  }
}
