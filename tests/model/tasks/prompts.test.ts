import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  defineTask,
  parseAnswer,
  parseLabelledBoxes,
  type Region,
  readAnswer,
  resolveTask,
  tasks,
} from "../../../model/tasks/index.ts";
import { failure } from "../../support/errors.ts";

const region = "<loc_52><loc_332><loc_932><loc_774>";

// The sentences that the released models were trained on.
const prompts: [string, string, string][] = [
  ["<CAPTION>", "", "What does the image describe?"],
  ["<DETAILED_CAPTION>", "", "Describe in detail what is shown in the image."],
  ["<MORE_DETAILED_CAPTION>", "", "Describe with a paragraph what is shown in the image."],
  ["<OCR>", "", "What is the text in the image?"],
  ["<OCR_WITH_REGION>", "", "What is the text in the image, with regions?"],
  ["<OD>", "", "Locate the objects with category name in the image."],
  ["<DENSE_REGION_CAPTION>", "", "Locate the objects in the image, with their descriptions."],
  ["<REGION_PROPOSAL>", "", "Locate the region proposals in the image."],
  ["<CAPTION_TO_PHRASE_GROUNDING>", "A red bus.", "Locate the phrases in the caption: A red bus."],
  ["<REFERRING_EXPRESSION_SEGMENTATION>", "a red bus", "Locate a red bus in the image with mask"],
  ["<OPEN_VOCABULARY_DETECTION>", "a red bus", "Locate a red bus in the image."],
  ["<REGION_TO_SEGMENTATION>", region, `What is the polygon mask of region ${region}`],
  ["<REGION_TO_CATEGORY>", region, `What is the region ${region}?`],
  ["<REGION_TO_DESCRIPTION>", region, `What does the region ${region} describe?`],
  ["<REGION_TO_OCR>", region, `What text is in the region ${region}?`],
];

describe("prompts", () => {
  it.each(prompts)("%s %s", (token, input, prompt) => {
    for (const resolved of [resolveTask(token, input), resolveTask(token + input)]) {
      expect(resolved.prompt).toBe(prompt);
      expect(resolved.task.token).toBe(token);
    }
  });

  it("are known for every task that the released models were trained for", () => {
    const tokens = tasks.map(({ token }) => token);
    expect(tokens).toEqual(expect.arrayContaining(prompts.map(([token]) => token)));
  });

  it.each([
    "$& $1 $$ $' $`",
    "{input} {0} %s",
    "a\\b\\n",
    " two  spaces ",
    "a < b > c",
    "été 日本 😀 \u200d\r\n",
    "<b>",
  ])("puts %j into the prompt as it is", (text) => {
    expect(resolveTask("<OPEN_VOCABULARY_DETECTION>", text).prompt).toBe(`Locate ${text} in the image.`);
  });

  it.each([
    "boat <and> sign",
    "boat<sep>sign",
    "boat at <loc_10><loc_20>",
    "a <poly> b",
    "a <GENERATE_TAGS> b",
  ])("puts the tokens of %j into the prompt, as transformers does", (text) => {
    const task = "<OPEN_VOCABULARY_DETECTION>";
    for (const resolved of [resolveTask(task, text), resolveTask(task + text), resolveTask(text + task)]) {
      expect(resolved.prompt).toBe(`Locate ${text} in the image.`);
      expect(resolved.task.token).toBe(task);
    }
  });

  describe("of regions", () => {
    const size = { width: 640, height: 480 };
    const prompt = (box: Region, warn?: (message: string) => void) =>
      resolveTask("<REGION_TO_OCR>", box, size, warn).prompt;

    it("have a box's tags, however it is given", () => {
      const expected = "What text is in the region <loc_52><loc_332><loc_932><loc_774>?";
      expect(prompt({ x1: 33.6, y1: 159.6, x2: 596.8, y2: 371.76 })).toBe(expected);
      expect(prompt([33.6, 159.6, 596.8, 371.76])).toBe(expected);
      const { bboxes } = parseAnswer("<OD>", `bus${region}`, size);
      expect(prompt(bboxes[0]!)).toBe(expected);
      expect(resolveTask("<VQA>", bboxes[0], size).prompt).toBe(`<VQA>${region}`);
    });

    it("are cut at the image's edges, and say so", () => {
      const warnings: string[] = [];
      const warn = (message: string) => warnings.push(message);
      expect(prompt([-0.5, 0, 640.5, 480], warn)).toContain("<loc_0><loc_0><loc_999><loc_999>");
      expect(warnings).toEqual([]);
      expect(prompt({ x1: -9, y1: 0, x2: 640, y2: 9999 }, warn)).toContain(
        "<loc_0><loc_0><loc_999><loc_999>",
      );
      expect(warnings).toEqual([
        'The region {"x1":-9,"y1":0,"x2":640,"y2":9999} reaches beyond the image of 640 x 480 pixels; it is cut at the edges.',
      ]);
    });
  });

  it.each([
    ["What is this?", undefined],
    ["<VQA>What colour is the bus?", undefined],
    ["<VQA> ", "What colour is the bus?"],
    ["Is there a bus at <loc_1><loc_2>?", undefined],
    ["a < b", undefined],
    ["<GENERATE_TAGS>", undefined],
    ["<MIXED_CAPTION>", undefined],
    ["<MIXED_CAPTION_PLUS>", undefined],
    ["<ANALYZE>", undefined],
    ["<GENERATE_PROMPT>", undefined],
    ["<VQA>", undefined],
    ["The odd caption", undefined],
  ])("passes %j on as a free prompt, without a word", (prompt, text) => {
    const warnings: string[] = [];
    const resolved = resolveTask(prompt, text, undefined, (message) => warnings.push(message));
    expect(resolved.prompt).toBe(prompt + (text ?? ""));
    expect(warnings).toEqual([]);
    const context = {
      size: { width: 1, height: 1 },
      coordinates: "float",
      labels: "clean",
      scores: "confidence",
    } as const;
    expect(resolved.task.parse({ text: "</s><s>yes</s>" }, context)).toBe("yes");
  });

  it.each([
    ["<CAP>", '<CAP> is none of the tasks and goes to the model as it is: did you mean "<CAPTION>"?'],
    ["<caption>", 'did you mean "<CAPTION>"?'],
    ["<ODD>", 'did you mean "<OD>"?'],
    ["<od>", 'did you mean "<OD>"?'],
    ["<DETAILED-CAPTION>", 'did you mean "<DETAILED_CAPTION>"?'],
    ["<OPEN_VOCABULARY_DETECTON>a cat", 'did you mean "<OPEN_VOCABULARY_DETECTION>"?'],
    ["a </s> b", '</s> in "a </s> b" reaches the model as a special token'],
    ["a <mask> b", "<mask> in"],
  ])("passes %j on with a warning", (prompt, warning) => {
    const warnings: string[] = [];
    expect(resolveTask(prompt, undefined, undefined, (message) => warnings.push(message)).prompt).toBe(
      prompt,
    );
    expect(warnings).toEqual([expect.stringContaining(warning)]);
  });
});

describe("prompts of transformers' processor", () => {
  const url = new URL("../../fixtures/tasks/prompts.json", import.meta.url);
  const vectors: [string, string | null][] = JSON.parse(readFileSync(url, "utf8"));
  const tagsIn = (question: string) => tasks.filter(({ token }) => question.includes(token));

  it("are ours, and what it refuses is refused", () => {
    expect(vectors.length).toBeGreaterThan(400);
    const counts = { same: 0, refused: 0, onlyHere: 0 };
    for (const [question, expected] of vectors) {
      const [first, ...others] = tagsIn(question);
      const isEmpty = first !== undefined && question.replaceAll(first.token, "") === "";
      if (expected === null) {
        expect(failure(() => resolveTask(question)).code, question).toBe("task_invalid");
        counts.refused++;
      } else if (others.length > 0 || (isEmpty && first.input !== "none")) {
        // Two tasks at once, and a task without its text, would be answered with nonsense.
        expect(failure(() => resolveTask(question)).code, question).toBe("task_invalid");
        counts.onlyHere++;
      } else {
        expect(resolveTask(question).prompt, question).toBe(expected);
        counts.same++;
      }
    }
    expect(Math.min(...Object.values(counts))).toBeGreaterThan(10);
    expect(counts.same).toBeGreaterThan(200);
  });
});

describe("a task of one's own", () => {
  it("has the tag as its prompt and the text as its answer, if it says nothing else", () => {
    const analyze = defineTask({ token: "<ANALYZE>" });
    const size = { width: 10, height: 10 };
    expect(resolveTask(analyze).prompt).toBe("<ANALYZE>");
    expect(parseAnswer(analyze, "</s><s>fine at <loc_5></s>", size)).toBe("fine at <loc_5>");
    expect(() => resolveTask(analyze, "a text")).toThrow("<ANALYZE> takes no input");
  });

  it("has input, prompt and parser of its own", () => {
    const defects = defineTask({
      token: "<DEFECTS>",
      input: "text",
      prompt: (material) => `<DEFECTS>${material}!`,
      parse: parseLabelledBoxes,
    });
    expect(resolveTask(defects, "steel").prompt).toBe("<DEFECTS>steel!");
    expect(() => resolveTask(defects)).toThrow("<DEFECTS> needs a text");
    const text = "</s><s>Riß<loc_1><loc_2><loc_3><loc_4></s>";
    expect(readAnswer(defects, text, { width: 1000, height: 1000 })).toEqual({
      answer: { bboxes: [[1.5, 2.5, 3.5, 4.5]], labels: ["Riß"] },
      objects: [{ label: "Riß", box: [1.5, 2.5, 3.5, 4.5] }],
      text: "Riß",
    });
  });

  it("names its objects, if its answer has another shape", () => {
    const points = defineTask({
      token: "<POINTS>",
      parse: ({ text }) => ({ points: [...text.matchAll(/\d+/g)].map(Number) }),
      objects: ({ points: [x = 0, y = 0] }) => [{ label: "point", box: [x, y, x, y] }],
    });
    const { objects, text } = readAnswer(points, "5 7", { width: 10, height: 10 });
    expect({ objects, text }).toEqual({ objects: [{ label: "point", box: [5, 7, 5, 7] }], text: "point" });
  });

  it.each([{}, { token: 5 }, { token: "<A>", input: "image" }, { token: "<A>", parse: "text" }, null])(
    "is refused as %j",
    (definition) => {
      expect(failure(() => defineTask(definition as { token: "<A>" })).code).toBe("task_invalid");
    },
  );
});

describe("refused input", () => {
  const box = { x1: 1, y1: 2, x2: 3, y2: 4 };
  const cases: [string, unknown, string][] = [
    ["OD", undefined, 'did you mean "<OD>"?'],
    ["od", undefined, 'did you mean "<OD>"?'],
    ["Caption", undefined, 'did you mean "<CAPTION>"?'],
    ["detailed caption", undefined, 'did you mean "<DETAILED_CAPTION>"?'],
    [" <OD>", undefined, 'takes no input, found " "'],
    ["Find <OD>", undefined, 'takes no input, found "Find "'],
    ["<OD> extra", undefined, 'takes no input, found " extra"'],
    ["<OD><OD>", undefined, "takes no input"],
    ["<OD>", "a bus", "takes no input"],
    ["<OD>", box, "takes no input"],
    ["<OPEN_VOCABULARY_DETECTION>", undefined, "needs a text, found none"],
    ["<OPEN_VOCABULARY_DETECTION>", " \n ", "needs a text"],
    ["<OPEN_VOCABULARY_DETECTION>", box, "needs a text"],
    ["<OPEN_VOCABULARY_DETECTION>", 5, "needs a text, found 5"],
    ["<OPEN_VOCABULARY_DETECTION>", ["a", 5], "needs a text"],
    ["<OPEN_VOCABULARY_DETECTION>a", "b", "two inputs"],
    ["", undefined, "the prompt is empty"],
    [" \n", undefined, "the prompt is empty"],
    ["What is this?", "a bus", "takes no input"],
    ["What is this?", box, "takes no input"],
    ["<image>", "a bus", "<image> has a meaning"],
    ...["<image>", "<OD>", "<REGION_TO_OCR>"].map((tag): [string, unknown, string] => [
      "<CAPTION_TO_PHRASE_GROUNDING>",
      `a <${tag}> b`,
      `${tag} has a meaning`,
    ]),
    [null as unknown as string, undefined, "type null"],
    [5 as unknown as string, undefined, "type number"],
    [{ token: "<A>" } as unknown as string, undefined, "type object"],
    ["<REGION_TO_OCR>", undefined, "needs a region"],
    ["<REGION_TO_OCR>", "a bus", "region needs"],
    ["<REGION_TO_OCR>", "<loc_1><loc_2><loc_3>", "four tags"],
    ["<REGION_TO_OCR>", "<loc_1><loc_2><loc_3><loc_4><loc_5>", "four tags"],
    ["<REGION_TO_OCR>", "<loc_1><loc_2><loc_3><loc_1000>", "<loc_0> to <loc_999>"],
    ["<REGION_TO_OCR>", "<loc_-1><loc_2><loc_3><loc_4>", "region needs"],
    ["<REGION_TO_OCR>", "<loc_01><loc_2><loc_3><loc_4>", "region needs"],
    ["<REGION_TO_OCR>", "<loc_3><loc_2><loc_1><loc_4>", "corner"],
    ["<REGION_TO_OCR>", { ...box, x2: 0 }, "corner"],
    ["<REGION_TO_OCR>", [5, 5, 3, 9], "corner"],
    ["<REGION_TO_OCR>", { ...box, y2: Number.NaN }, "region needs"],
    ["<REGION_TO_OCR>", { ...box, x1: "1" }, "region needs"],
    ["<REGION_TO_OCR>", { x1: 1, y1: 2 }, "region needs"],
    ["<REGION_TO_OCR>", [1, 2, 3], "region needs"],
    ["<REGION_TO_OCR>", [1, 2, 3, 4, 5, 6, 7, 8], "region needs"],
    ["<REGION_TO_OCR>", [640, 0, 700, 10], "inside the image of 640 x 480 pixels; found [640,0,700,10]"],
    ["<REGION_TO_OCR>", [0, -20, 100, -10], "inside the image"],
  ];

  it.each(cases)("%j %j", (prompt, input, words) => {
    const size = { width: 640, height: 480 };
    const error = failure(() => resolveTask(prompt, input as string, size));
    expect(error.code).toBe("task_invalid");
    expect(error.message).toContain(words);
  });

  it("is answered with the list of tasks, where the task is in doubt", () => {
    for (const prompt of ["OD", "<OD> extra", ""]) {
      const error = failure(() => resolveTask(prompt));
      for (const { token } of tasks) expect(error.message).toContain(token);
    }
  });

  it("needs the image's size for a box", () => {
    expect(failure(() => resolveTask("<REGION_TO_OCR>", box)).code).toBe("task_invalid");
    const size = { width: 0, height: 480 };
    expect(failure(() => resolveTask("<REGION_TO_OCR>", box, size)).code).toBe("image_invalid");
  });

  it("shows the beginning of a long text", () => {
    const error = failure(() => resolveTask("<OD>", "x".repeat(100_000)));
    expect(error.message.length).toBeLessThan(700);
  });
});
