import { describe, expect, it } from "vitest";
import { withAbsent } from "../../datasets/truth/absent.ts";
import { presence } from "../../eval/metrics/presence.ts";

const questions = (text: string) =>
  text.split(" ").map((one) => ({ confidence: Number(one.slice(1)), isPresent: one[0] === "+" }));

describe("presence", () => {
  it("has the area under the ROC curve, ties counted half, and the best threshold", () => {
    expect(presence(questions("+0.9 +0.8 -0.3 -0.1"))).toEqual({ auroc: 1, threshold: 0.8, accuracy: 1 });
    expect(presence(questions("+0.9 -0.8 +0.7 -0.1")).auroc).toBe(0.75);
    expect(presence(questions("+0.5 -0.5")).auroc).toBe(0.5);
    expect(presence(questions("-0.9 +0.1"))).toEqual({ auroc: 0, threshold: Infinity, accuracy: 0.5 });
    expect(presence(questions("+0.9 +0.8")).auroc).toBeNaN();
  });
});

describe("a data set with absent things", () => {
  it("asks for each thing that is there, and for as many that are not", () => {
    const truth = (labels: string[]) => ({ boxes: labels.map((_, i) => [i, i, i + 1, i + 1]), labels });
    const image = (file: string, labels: string[]) => ({
      file,
      prompts: [{ task: "<OD>", truth: truth(labels) }],
    });
    const dataSet = {
      name: "set",
      folder: ".",
      images: [image("a", ["cat", "dog", "cat"]), image("b", ["cow"]), { file: "c", prompts: [] }],
    };
    const { images } = withAbsent(dataSet, "<OPEN_VOCABULARY_DETECTION>", { count: 1 });
    expect(images.map(({ file }) => file)).toEqual(["a", "b"]);
    expect(images[0]!.prompts.map(({ text }) => text)).toEqual(["cat", "dog", "cow"]);
    expect(images[0]!.prompts[0]!.truth).toEqual({
      boxes: [
        [0, 0, 1, 1],
        [2, 2, 3, 3],
      ],
      labels: ["cat", "cat"],
    });
    expect(images[0]!.prompts[2]!.truth).toEqual({ boxes: [], labels: [], absent: ["cow"] });
  });

  it("puts phrases of other images into captions, none that has a word of the image's own", () => {
    const task = "<CAPTION_TO_PHRASE_GROUNDING>";
    const box = [0, 0, 1, 1] as const;
    const image = (file: string, text: string, labels: string[]) => ({
      file,
      prompts: [{ task, text, truth: { boxes: labels.map(() => box), labels } }],
    });
    const dataSet = {
      name: "set",
      folder: ".",
      images: [
        image("a", "Two green hearts and a cat.", ["two green hearts", "two green hearts", "a cat"]),
        image("b", "A green ball.", ["a green ball"]),
        image("c", "A purple key.", ["a purple key"]),
      ],
    };
    const { images } = withAbsent(dataSet, task, { count: 2 });
    expect(images[0]!.prompts).toEqual([
      dataSet.images[0]!.prompts[0],
      {
        task,
        text: "A purple key and a cat.",
        truth: { boxes: [box], labels: ["a cat"], absent: ["a purple key"] },
      },
    ]);
    expect(images[1]!.prompts.map(({ text }) => text)).toEqual(["A green ball.", "A cat.", "A purple key."]);
    const alone = withAbsent(dataSet, task, { count: 1, alone: true });
    expect(alone.images[0]!.prompts).toEqual([
      {
        task,
        text: "Two green hearts.",
        truth: { boxes: [box, box], labels: ["two green hearts", "two green hearts"] },
      },
      { task, text: "A cat.", truth: { boxes: [box], labels: ["a cat"] } },
      { task, text: "A purple key.", truth: { boxes: [], labels: [], absent: ["a purple key"] } },
    ]);
    expect(images[2]!.prompts.map(({ text }) => text)).toEqual([
      "A purple key.",
      "A green ball.",
      "Two green hearts.",
    ]);
  });
});
