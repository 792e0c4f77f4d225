import type { LabelledImage } from "../labelled.ts";

/** A file of a data set, to be written below its folder. */
export interface OutputFile {
  /** With "/". */
  readonly path: string;
  /** Text in pieces, bytes, or the image (by its `file`) that belongs there. */
  readonly content: Iterable<string> | Uint8Array | { readonly image: string };
}

/** Can be gone through more than once. */
export type Images = Iterable<LabelledImage>;

export interface WriteOptions {
  /** Classes in the order of their numbers. */
  readonly classes: readonly string[];
  /** Whether the images themselves become part of the data set, where a format does not have to have them. */
  readonly withImages?: boolean;
  /** COCO's number of the first class: 1 by default, since many programs take 0 for the background. */
  readonly firstCategoryId?: number;
  /** Adds the confidence to lines of YOLO, as `save_conf` of Ultralytics does. Training does not take it. */
  readonly confidenceColumn?: boolean;
  /** Stands before the paths of images in Label Studio. Default: its prefix of local files. */
  readonly imagePrefix?: string;
  /** Name of the model, for formats that have a place for it. */
  readonly model?: string;
  /** Guards CSV against texts that spreadsheets take for formulas. */
  readonly guardFormulas?: boolean;
}

/** A way to write a data set. A new one: a file in this folder, and its line in list.ts. */
export interface Format {
  /** As the command line has it. */
  readonly name: string;
  /** One line for the list of formats. */
  readonly about: string;
  /** Whether images are part of the data set unless they are refused. */
  readonly needsImages?: boolean;
  write(images: Images, options: WriteOptions): Iterable<OutputFile> | AsyncIterable<OutputFile>;
}

/** The parts of a data set in order of their first image; one without a name if it is not split. */
export function splitsOf(images: Images): (string | undefined)[] {
  const splits = new Set<string | undefined>();
  for (const { split } of images) splits.add(split);
  return [...splits].sort((a, b) => PARTS.indexOf(a ?? "") - PARTS.indexOf(b ?? ""));
}

/** The images of one part. */
export function partOf(images: Images, split: string | undefined): Images {
  return {
    *[Symbol.iterator]() {
      for (const image of images) if (image.split === split) yield image;
    },
  };
}

/** A path below the folder of a part, if there is one: `below("train", "a.txt")` → train/a.txt. */
export function below(split: string | undefined, path: string): string {
  return split === undefined ? path : `${split}/${path}`;
}

/** Pieces with a comma and a line break between them. */
export function* separated(pieces: Iterable<string>): Generator<string> {
  let separator = "";
  for (const piece of pieces) {
    yield `${separator}${piece}`;
    separator = ",\n";
  }
}

/** A number without digits that mean nothing: `rounded(1.23456, 2)` → 1.23. */
export function rounded(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}

const PARTS = ["", "train", "val", "test"];
