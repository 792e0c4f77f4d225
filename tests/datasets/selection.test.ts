import { describe, expect, it } from "vitest";
import {
  classNames,
  cleanCaption,
  type LabelledImage,
  linesOf,
  mergeCaption,
  parseSplit,
  select,
  splitFiles,
  stemsOf,
  styleCaption,
  wordsOf,
} from "../../datasets/index.ts";
import { florenceError } from "../support/errors.ts";

const thing = (label: string, left: number, score: number, side = 20) => ({
  label,
  score,
  box: [left, 0, left + side, side] as [number, number, number, number],
});
const image = (...objects: LabelledImage["objects"]): LabelledImage => ({
  file: "a.jpg",
  width: 100,
  height: 100,
  objects,
});
const named = ({ objects }: LabelledImage) => objects.map(({ label, score }) => `${label} ${score}`);

describe("selection", () => {
  it("maps many prompts to one class, whatever their capitals, and drops other labels", () => {
    const classes = [{ prompt: "kitten", label: "cat" }, { prompt: "Cat", label: "cat" }, { prompt: "dog" }];
    const found = select(image(thing("Kitten", 0, 0.9), thing("cat ", 40, 0.8), thing("cow", 70, 0.9)), {
      classes,
    });
    expect(named(found)).toEqual(["cat 0.9", "cat 0.8"]);
    expect(classNames(classes)).toEqual(["cat", "dog"]);
  });

  it("has thresholds and areas of all classes and of each", () => {
    const classes = [
      { prompt: "a", minScore: 0.7 },
      { prompt: "b" },
      { prompt: "c", minArea: 0.2, maxArea: 1 },
    ];
    const found = select(
      image(
        thing("a", 0, 0.6),
        thing("b", 30, 0.6),
        thing("b", 60, 0.4),
        thing("c", 0, 0.9),
        thing("c", 0, 0.8, 100),
      ),
      { classes, minScore: 0.5, maxArea: 0.9 },
    );
    expect(named(found)).toEqual(["b 0.6", "c 0.8"]);
  });

  it("suppresses repetitions by class or among all, and keeps the best of an image in their order", () => {
    const all = image(thing("a", 0, 0.5), thing("a", 1, 0.9), thing("b", 2, 0.7), thing("a", 60, 0.6));
    expect(named(select(all))).toEqual(["a 0.9", "b 0.7", "a 0.6"]);
    expect(named(select(all, { suppression: "agnostic" }))).toEqual(["a 0.9", "a 0.6"]);
    expect(named(select(all, { suppression: "none" }))).toHaveLength(4);
    expect(named(select(all, { maxPerImage: 2 }))).toEqual(["a 0.9", "b 0.7"]);
  });
});

describe("splits", () => {
  it("follow from names and seed, not from order", () => {
    const files = Array.from({ length: 103 }, (_, i) => `folder ${i % 7}/${i}.jpg`);
    const parts = splitFiles(files, [0.8, 0.1, 0.1], 1);
    expect(splitFiles([...files].reverse(), [0.8, 0.1, 0.1], 1)).toEqual(new Map([...parts]));
    const count = (name: string) => [...parts.values()].filter((part) => part === name).length;
    expect([count("train"), count("val"), count("test")]).toEqual([82, 11, 10]);
    expect([...splitFiles(files, [0.8, 0.1, 0.1], 2)]).not.toEqual([...parts]);
  });

  it("have to add up", () => {
    expect(parseSplit("0.8/0.2")).toEqual([0.8, 0.2]);
    for (const text of ["0.8", "a/b", "0.5/0.6", "0.25/0.25/0.25/0.25"]) {
      expect(() => parseSplit(text)).toThrow(florenceError("option_invalid", text));
    }
  });
});

describe("names", () => {
  it("stay apart where only their endings or capitals differ", () => {
    const stems = stemsOf(["a/x.jpg", "a/x.png", "a/X.JPG", "b/x.jpg", ".hidden", "x.tar.gz", "a/x_png.jpg"]);
    expect([...stems.values()]).toEqual([
      "a/x",
      "a/x_png",
      "a/X_JPG",
      "b/x",
      ".hidden",
      "x.tar",
      "a/x_png_jpg",
    ]);
  });
});

describe("captions", () => {
  it("lose their openings, line breaks and quotes", () => {
    for (const [caption, clean] of [
      ["The image shows a cat.", "a cat."],
      ["In this image we can see a dog on grass.", "a dog on grass."],
      ["In the picture there are two birds", "two birds"],
      ['"A photo of a car"', "a car"],
      ["The image shows", "The image shows"],
      ["There is a boat.", "a boat."],
      ["A cat in the image", "A cat in the image"],
    ] as const) {
      expect(cleanCaption(caption).toLowerCase()).toBe(clean.toLowerCase());
    }
    expect(styleCaption(" a cat\non  a mat \n")).toBe("a cat on a mat");
  });

  it("get a trigger, prefix and suffix, byte for byte", () => {
    expect(styleCaption("a man", { prefix: "photo of ", suffix: ", 4k", trigger: "ohwx" })).toBe(
      "ohwx, photo of a man, 4k",
    );
    expect(styleCaption("one two three", { maxWords: 2, separator: "; ", trigger: "t" })).toBe("t; one two");
  });

  it("meet what is there already", () => {
    const merged = (existing: string | undefined) =>
      (["skip", "overwrite", "append", "prepend"] as const).map((mode) =>
        mergeCaption(mode, existing, "new"),
      );
    expect(merged(undefined)).toEqual(["new", "new", "new", "new"]);
    expect(merged(" \n")).toEqual(["new", "new", "new", "new"]);
    expect(merged("old\ntags\n")).toEqual(["old tags", "new", "old tags, new", "new, old tags"]);
    expect(mergeCaption("append", "a", "b", " | ")).toBe("a | b");
  });
});

describe("text", () => {
  it("is read row by row, from left to right", () => {
    const line = (text: string, left: number, top: number, height = 10) => ({
      label: "text",
      text,
      box: [left, top, left + 20, top + height] as [number, number, number, number],
    });
    const found = linesOf(image(line("d", 0, 30), line("b", 40, 2), line("a", 0, 0), line("c", 70, 4, 8)));
    expect(found.map(({ text }) => text)).toEqual(["a", "b", "c", "d"]);
  });

  it("is cut into words by characters along its quad", () => {
    const [, second] = wordsOf({ text: "ab cde", quad: [0, 0, 60, 6, 60, 16, 0, 10], box: [0, 0, 60, 16] });
    expect(second).toEqual({ text: "cde", quad: [30, 3, 60, 6, 60, 16, 30, 13], box: [30, 3, 60, 16] });
  });
});
