import { describe, expect, it } from "vitest";
import { Florence2Error } from "../../../core/errors.ts";
import { type PixelBox, resolveTask, tasks } from "../../../model/tasks/index.ts";

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

function failure(action: () => unknown): Florence2Error {
  try {
    action();
  } catch (error) {
    if (error instanceof Florence2Error) return error;
    throw error;
  }
  throw new Error("the action succeeded");
}

describe("prompts", () => {
  it.each(prompts)("%s %s", (token, input, prompt) => {
    for (const resolved of [resolveTask(token, input), resolveTask(token + input)]) {
      expect(resolved.prompt).toBe(prompt);
      expect(resolved.task.token).toBe(token);
    }
  });

  it("covers all tasks", () => {
    expect(prompts.map(([token]) => token)).toEqual(tasks.map(({ token }) => token));
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

  it("turns a box in pixels into tags", () => {
    const size = { width: 640, height: 480 };
    const prompt = (box: PixelBox) => resolveTask("<REGION_TO_OCR>", box, size).prompt;
    expect(prompt({ x1: 33.6, y1: 159.6, x2: 596.8, y2: 371.76 })).toBe(
      "What text is in the region <loc_52><loc_332><loc_932><loc_774>?",
    );
    expect(prompt({ x1: -9, y1: 0, x2: 640, y2: 9999 })).toContain("<loc_0><loc_0><loc_999><loc_999>");
  });

  it.each([
    ["What is this?", undefined],
    ["<VQA>What colour is the bus?", undefined],
    ["<VQA> ", "What colour is the bus?"],
    ["Is there a bus at <loc_1><loc_2>?", undefined],
    ["OD", undefined],
    ["a < b", undefined],
  ])("passes %j on as a free prompt", (prompt, text) => {
    const resolved = resolveTask(prompt, text);
    expect(resolved.prompt).toBe(prompt + (text ?? ""));
    const size = { width: 1, height: 1 };
    expect(resolved.task.parse({ text: "</s><s>yes</s>" }, { size, coordinates: "float" })).toBe("yes");
  });
});

describe("refused input", () => {
  const box = { x1: 1, y1: 2, x2: 3, y2: 4 };
  const cases: [string, unknown, string][] = [
    ["<FOO>", undefined, 'unknown task "<FOO>"'],
    ["<od>", undefined, "unknown task"],
    ["<VQA>", undefined, "unknown task"],
    [" <OD>", undefined, "<OD> has a meaning of its own"],
    ["Find <OD>", undefined, "<OD> has a meaning of its own"],
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
    ["<VQA>", box, "takes no input"],
    ["a </s> b", undefined, "</s> has a meaning"],
    ["<image>", "a bus", "<image> has a meaning"],
    ...["</s>", "<s>", "<pad>", "<mask>", "<image>", "<loc_5>", "<OD>", "<poly>"].map(
      (tag): [string, unknown, string] => [
        "<CAPTION_TO_PHRASE_GROUNDING>",
        `a <${tag}> b`,
        `${tag} has a meaning`,
      ],
    ),
    [null as unknown as string, undefined, "type object"],
    [5 as unknown as string, undefined, "type number"],
    ["<REGION_TO_OCR>", undefined, "needs a region"],
    ["<REGION_TO_OCR>", "a bus", "needs a region"],
    ["<REGION_TO_OCR>", "<loc_1><loc_2><loc_3>", "four tags"],
    ["<REGION_TO_OCR>", "<loc_1><loc_2><loc_3><loc_4><loc_5>", "four tags"],
    ["<REGION_TO_OCR>", "<loc_1><loc_2><loc_3><loc_1000>", "<loc_0> to <loc_999>"],
    ["<REGION_TO_OCR>", "<loc_-1><loc_2><loc_3><loc_4>", "needs a region"],
    ["<REGION_TO_OCR>", "<loc_01><loc_2><loc_3><loc_4>", "needs a region"],
    ["<REGION_TO_OCR>", "<loc_3><loc_2><loc_1><loc_4>", "corner"],
    ["<REGION_TO_OCR>", { ...box, x2: 0 }, "corner"],
    ["<REGION_TO_OCR>", { ...box, y2: Number.NaN }, "needs a region"],
    ["<REGION_TO_OCR>", { ...box, x1: "1" }, "needs a region"],
    ["<REGION_TO_OCR>", { x1: 1, y1: 2 }, "needs a region"],
  ];

  it.each(cases)("%j %j", (prompt, input, words) => {
    const size = { width: 640, height: 480 };
    const error = failure(() => resolveTask(prompt, input as string, size));
    expect(error.code).toBe("task_invalid");
    expect(error.message).toContain(words);
    for (const { token } of tasks) expect(error.message).toContain(token);
  });

  it("needs the picture's size for a box", () => {
    expect(failure(() => resolveTask("<REGION_TO_OCR>", box)).code).toBe("task_invalid");
    const size = { width: 0, height: 480 };
    expect(failure(() => resolveTask("<REGION_TO_OCR>", box, size)).code).toBe("image_invalid");
  });

  it("shows the beginning of a long text", () => {
    const error = failure(() => resolveTask("<OD>", "x".repeat(100_000)));
    expect(error.message.length).toBeLessThan(700);
  });
});
