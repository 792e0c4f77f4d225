import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, expectTypeOf, it } from "vitest";
import {
  type AnswerOf,
  type BoxAnswer,
  type BoxOrPolygonAnswer,
  type Coordinates,
  type PolygonAnswer,
  parseAnswer,
  type QuadAnswer,
  type TaskToken,
  tasks,
} from "../../../model/tasks/index.ts";
import { dequantize, quantize } from "../../../model/tasks/parsing/locations.ts";

const here = (path: string) => new URL(path, import.meta.url);
const json = (path: string) => JSON.parse(readFileSync(here(path), "utf8"));

/** Writes ⟪1,2⟫ out as <loc_1><loc_2>. */
const spelled = (text: string) =>
  text.replace(/⟪([\d,]+)⟫/g, (_, bins: string) =>
    bins.replace(/\d+,?/g, (bin) => `<loc_${Number.parseInt(bin, 10)}>`),
  );

/** Answers of both reference processors to the same texts, for a picture of 640 x 480. */
const vectors: ({ task: TaskToken; text: string } & Record<Coordinates, unknown>)[] = json(
  "fixtures/tasks/vectors.json",
);

describe("vectors of the references", () => {
  it.each(vectors)("$task $text", ({ task, text, ...expected }) => {
    for (const coordinates of ["float", "integer"] as const) {
      const answer = parseAnswer(task, spelled(text), { width: 640, height: 480 }, { coordinates });
      expect(answer, coordinates).toEqual(expected[coordinates]);
    }
  });
});

const golden = "../../shared/data/golden/";

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
        expect(parseAnswer(task, textOf(recorded, picture), picture)).toEqual(recorded);
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
      expect(parseAnswer(task, text, image, { coordinates: "integer" })).toEqual(recorded[task]);
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
      const answer = parseAnswer(task, generated_text, size(image_sizes[image]));
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

  it("refuses other kinds of coordinates", () => {
    const options = { coordinates: "pixels" as Coordinates };
    expect(() => parseAnswer("<OD>", "", { width: 1, height: 1 }, options)).toThrow(
      expect.objectContaining({ code: "option_invalid" }),
    );
  });
});

describe("tasks", () => {
  it("has fifteen, each in the file of its name", () => {
    expect(tasks).toHaveLength(15);
    const files = readdirSync(here("../model/tasks"));
    for (const { token } of tasks) expect(files).toContain(`${token.slice(1, -1).toLowerCase()}.ts`);
  });

  it("types the answer by the task", () => {
    expectTypeOf<AnswerOf<"<OD>">>().toEqualTypeOf<BoxAnswer>();
    expectTypeOf<AnswerOf<"<CAPTION>">>().toEqualTypeOf<string>();
    expectTypeOf<AnswerOf<"<OCR_WITH_REGION>">>().toEqualTypeOf<QuadAnswer>();
    expectTypeOf<AnswerOf<"<REGION_TO_SEGMENTATION>">>().toEqualTypeOf<PolygonAnswer>();
    expectTypeOf<AnswerOf<"<OPEN_VOCABULARY_DETECTION>a bus">>().toEqualTypeOf<BoxOrPolygonAnswer>();
    expectTypeOf<AnswerOf<"<VQA>Is it red?">>().toEqualTypeOf<string>();
    expectTypeOf(parseAnswer("<OD>", "", { width: 1, height: 1 }).bboxes).toEqualTypeOf<
      [number, number, number, number][]
    >();
  });

  it("parses hostile text in linear time", () => {
    const size = { width: 640, height: 480 };
    const texts = ["a", "<", "<loc_1>", "<loc_1>a", " ", "\n", "<poly>", "<loc_", "<loc_1><sep>"];
    for (const { token } of tasks) {
      for (const text of texts) expect(parseAnswer(token, text.repeat(20_000), size)).toBeDefined();
    }
  });
});
