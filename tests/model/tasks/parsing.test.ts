import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  type AnswerOf,
  type Coordinates,
  type Labels,
  objectsOf,
  type ParseOptions,
  parseAnswer,
  type TaskToken,
  tasks,
} from "../../../model/tasks/index.ts";
import { dequantize, quantize } from "../../../model/tasks/parsing/rules.ts";

/** A path from the root of the repository. */
const here = (path: string) => new URL(`../../../${path}`, import.meta.url);
const json = (path: string) => JSON.parse(readFileSync(here(path), "utf8"));

/** Writes ⟪1,2⟫ out as <loc_1><loc_2>. */
const spelled = (text: string) =>
  text.replace(/⟪([\d,]+)⟫/g, (_, bins: string) =>
    bins.replace(/\d+,?/g, (bin) => `<loc_${Number.parseInt(bin, 10)}>`),
  );

/** A special token, or the end of one. */
const SPECIAL = /<\/?s>|<pad>|loc_\d+>|sep>|poly>/;

const processors: readonly [Coordinates, ParseOptions][] = [
  ["float", { labels: "microsoft" }],
  ["integer", { labels: "transformers", coordinates: "integer" }],
];

/** Answers of both reference processors to the same texts, for an image of 640 x 480. */
const vectors: ({ task: TaskToken; text: string } & Record<Coordinates, unknown>)[] = json(
  "tests/fixtures/tasks/vectors.json",
);

describe("vectors of the references", () => {
  it.each(vectors)("$task $text", ({ task, text, ...expected }) => {
    for (const [processor, options] of processors) {
      const answer = parseAnswer(task, spelled(text), { width: 640, height: 480 }, options);
      expect(answer, processor).toEqual(expected[processor]);
    }
  });

  it.each(vectors)("has the places of Microsoft's and clean labels by default: $task $text", (vector) => {
    const { task, text, float } = vector;
    const answer = parseAnswer(task, spelled(text), { width: 640, height: 480 });
    if (typeof answer === "string") {
      expect(float).toContain(answer);
      expect(answer).not.toMatch(SPECIAL);
      return;
    }
    const places = ({ bboxes, quad_boxes, polygons }: Record<string, unknown>) => ({
      bboxes,
      quad_boxes,
      polygons,
    });
    expect(places(answer)).toEqual(places(float as Record<string, unknown>));
    for (const { label } of objectsOf(answer)) expect(label).not.toMatch(SPECIAL);
  });
});

const golden = "../shared/data/golden/";

describe.skipIf(!existsSync(here(golden)))("recorded answers of the released models", () => {
  const size = ([width, height]: [number, number]) => ({ width, height });
  const car = size([640, 480]);

  /** Bins that a coordinate can have come from; the recordings of Microsoft's notebook hold no texts. */
  function textOf(answer: AnswerOf<string>, picture: { width: number; height: number }): string {
    const tags = (values: readonly number[]) =>
      values
        .map((value, i) => `<loc_${quantize(value, i % 2 === 0 ? picture.width : picture.height)}>`)
        .join("");
    if (typeof answer === "string") return answer;
    if ("bboxes_labels" in answer) {
      return answer.bboxes.map((box, i) => answer.bboxes_labels[i] + tags(box)).join("");
    }
    if ("bboxes" in answer) return answer.bboxes.map((box, i) => answer.labels[i] + tags(box)).join("");
    if ("quad_boxes" in answer)
      return answer.quad_boxes.map((quad, i) => answer.labels[i] + tags(quad)).join("");
    return answer.polygons.map((outlines) => outlines.map(tags).join("<sep>")).join("<and>");
  }

  it("gives Microsoft's coordinates to the last bit", () => {
    const { cases } = json(`${golden}microsoft-notebook-outputs.json`);
    let coordinates = 0;
    for (const { result } of cases) {
      for (const [task, recorded] of Object.entries<AnswerOf<string>>(result)) {
        const picture = task.startsWith("<OCR") ? size([403, 500]) : car;
        expect(parseAnswer(task, textOf(recorded, picture), picture, { labels: "microsoft" })).toEqual(
          recorded,
        );
        coordinates += JSON.stringify(recorded).match(/\d+\.\d+/g)?.length ?? 0;
      }
    }
    expect(cases).toHaveLength(31);
    expect(coordinates).toBeGreaterThan(1500);
  });

  it("parses what transformers' tests recorded", () => {
    const { cases } = json(`${golden}hf-transformers-integration.json`);
    const parsed = cases.filter((recording: { parsed: unknown }) => recording.parsed !== null);
    expect(parsed).toHaveLength(5);
    for (const { task, text, image, parsed: recorded } of parsed) {
      expect(parseAnswer(task, text, image, { coordinates: "integer", labels: "transformers" })).toEqual(
        recorded[task],
      );
    }
  });

  it("parses what transformers.js' tests recorded, to their four places", () => {
    const { cases, image_sizes } = json(`${golden}transformersjs-postprocess.json`);
    expect(cases).toHaveLength(11);
    const rounded = (value: unknown) =>
      JSON.parse(JSON.stringify(value), (_, field) =>
        // Microsoft's labels keep the start token, theirs do not.
        typeof field === "string"
          ? field.replace("</s>", "")
          : typeof field === "number"
            ? Math.round(field * 1e4)
            : field,
      );
    for (const { task, generated_text, image, target } of cases) {
      const answer = parseAnswer(task, generated_text, size(image_sizes[image]), { labels: "microsoft" });
      expect(rounded(answer)).toEqual(rounded(target[task]));
    }
  });
});

describe("coordinates", () => {
  it("quantises as the processors do", () => {
    const bins = (box: number[]) => box.map((value, i) => quantize(value, i % 2 === 0 ? 800 : 1200));
    expect(bins([0, 0, 30, 40])).toEqual([0, 0, 37, 33]);
    expect(bins([750, 1121, 851, 1239])).toEqual([937, 934, 999, 999]);
    expect(bins([-5, -1, 800, 1200])).toEqual([0, 0, 999, 999]);
  });

  it("gives the middle of a bin in float32, or cut to an integer", () => {
    expect(dequantize(52, 640, "float")).toBe(33.599998474121094);
    expect(dequantize(414, 403, "float")).toBe(167.0435028076172);
    expect(dequantize(932, 640, "integer")).toBe(596);
    for (const side of [1, 403, 640, 4032]) {
      for (let bin = 0; bin < 1000; bin++) expect(quantize(dequantize(bin, side, "float"), side)).toBe(bin);
    }
  });

  it.each([
    { width: 0, height: 480 },
    { width: 640, height: -1 },
    { width: 640.5, height: 480 },
    { width: Number.NaN, height: 480 },
    { width: 640 } as { width: number; height: number },
    [640, 480] as never,
    null as never,
  ])("refuses %j as a size", (size) => {
    expect(() => parseAnswer("<OD>", "", size)).toThrow(expect.objectContaining({ code: "image_invalid" }));
  });

  it.each([{ coordinates: "pixels" as Coordinates }, { labels: "none" as Labels }])(
    "refuses %j",
    (options) => {
      expect(() => parseAnswer("<OD>", "", { width: 1, height: 1 }, options)).toThrow(
        expect.objectContaining({ code: "option_invalid", message: expect.stringContaining("expected") }),
      );
    },
  );
});

describe("clean labels and texts", () => {
  const size = { width: 1000, height: 1000 };
  const labels = (task: TaskToken, text: string, options?: ParseOptions) =>
    objectsOf(parseAnswer(task, spelled(text), size, options)).map(({ label }) => label);
  const four = "⟪1,2,3,4⟫";
  const eight = "⟪1,2,3,4,5,6,7,8⟫";

  it.each<[TaskToken, string, string[], string[]]>([
    // Labels by default, and those of Microsoft's processor.
    ["<OD>", `café 中文${four}猫${four}кот ${four}</s>`, ["café 中文", "猫", "кот"], ["caf ", "", ""]],
    ["<OD>", `</s><s>car<sep>${four}`, ["car"], ["sep>"]],
    ["<OD>", `door⟪1,2,3⟫cat${four}`, ["cat"], ["loc_3>cat"]],
    ["<OD>", eight, [""], ["loc_1>"]],
    ["<DENSE_REGION_CAPTION>", ` a red  bus ${four}`, ["a red  bus"], ["a red  bus"]],
    [
      "<OCR_WITH_REGION>",
      `</s><s>BOOKS${eight}QUIET${eight}</s>`,
      ["BOOKS", "QUIET"],
      ["</s>BOOKS", "QUIET"],
    ],
    ["<OCR_WITH_REGION>", `</s><s>⟪9⟫Б${eight}`, ["Б"], ["</s><loc_9>Б"]],
    ["<REFERRING_EXPRESSION_SEGMENTATION>", `<sep>${four}`, [""], ["<sep>"]],
    ["<OPEN_VOCABULARY_DETECTION>", `猫<poly>${four}</poly>`, ["猫"], ["猫"]],
  ])("%s %s", (task, text, clean, microsoft) => {
    expect(labels(task, text)).toEqual(clean);
    const exact = parseAnswer(task, spelled(text), size, { labels: "microsoft" });
    expect(objectsOf(exact).map(({ label }) => label)).toEqual(microsoft);
  });

  it.each([
    ["<REGION_TO_CATEGORY>", "</s><s>elephant<loc_31><loc_468><loc_296><loc_740></s>", "elephant"],
    ["<REGION_TO_DESCRIPTION>", "</s><s>boat<loc_0><loc_0> on the</s>", "boat on the"],
    ["<CAPTION>", "</s><s><s><s> A cat .\n</s><pad><pad>", "A cat ."],
    ["<OCR>", "</s><s>if a < b > c: <b>bold</b></s>", "if a < b > c: <b>bold</b>"],
    // Only the user knows the form of a free prompt's answer.
    ["<MY_DETECTION>", "</s><s>bolt<loc_1><loc_2></s>", "bolt<loc_1><loc_2>"],
  ])("%s %s", (task, text, expected) => {
    expect(parseAnswer(task, text, size)).toBe(expected);
  });

  it("takes digits of all scripts, as Python does", () => {
    const text = "cat<loc_\uff15\uff12><loc_\u0663><loc_\u{1d7da}><loc_4>";
    expect(parseAnswer("<OD>", text, size)).toEqual({ bboxes: [[52.5, 3.5, 2.5, 4.5]], labels: ["cat"] });
    expect(parseAnswer("<CAPTION>", "a<loc_\uff15>", size)).toBe("a");
  });
});

describe("tasks", () => {
  it("are listed, each from a file of its tag's name, and no file that defines one is left out", () => {
    const files = readdirSync(here("model/tasks"), { withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== "task.ts")
      .map(({ name }) => name)
      .filter((name) => readFileSync(here(`model/tasks/${name}`), "utf8").includes('token: "<'));
    const expected = tasks.map(({ token }) => `${token.slice(1, -1).toLowerCase()}.ts`);
    expect(files.sort(), "npm run build lists them").toEqual(expected.sort());
  });

  it("parses hostile text in linear time", () => {
    const size = { width: 640, height: 480 };
    const texts = ["a", "<", "<loc_1>", "<loc_1>a", " ", "\n", "<poly>", "<loc_", "<loc_1><sep>", "<loc_１>"];
    for (const { token } of tasks) {
      for (const text of texts) expect(parseAnswer(token, text.repeat(20_000), size)).toBeDefined();
    }
  });
});
