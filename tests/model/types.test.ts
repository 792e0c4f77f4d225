// The compiler checks this file: what it accepts, and with @ts-expect-error what it refuses.

import { describe, expectTypeOf, it } from "vitest";
import {
  type AnswerOf,
  type BatchItem,
  type BoxAnswer,
  type BoxOrPolygonAnswer,
  defineTask,
  type Florence2,
  type PolygonAnswer,
  parseAnswer,
  parseText,
  type QuadAnswer,
  type RunArguments,
  type TaskToken,
} from "../../index.ts";

const size = { width: 1, height: 1 };
const model = undefined as unknown as Florence2;
const image = "photo.jpg";
const tags = defineTask({
  token: "<GENERATE_TAGS>",
  parse: (generated, context) => parseText(generated, context).split(", "),
});
const defects = defineTask({ token: "<DEFECTS>", input: "region" });

/** Holds calls that are compiled and never run. */
const compiled = (_: () => unknown) => it("compiles", () => {});

describe("the type of an answer", () => {
  it("follows from the task", () => {
    expectTypeOf<AnswerOf<"<OD>">>().toEqualTypeOf<BoxAnswer>();
    expectTypeOf<AnswerOf<"<CAPTION>">>().toEqualTypeOf<string>();
    expectTypeOf<AnswerOf<"<OCR_WITH_REGION>">>().toEqualTypeOf<QuadAnswer>();
    expectTypeOf<AnswerOf<"<REGION_TO_SEGMENTATION>">>().toEqualTypeOf<PolygonAnswer>();
    expectTypeOf<AnswerOf<"<OPEN_VOCABULARY_DETECTION>a bus">>().toEqualTypeOf<BoxOrPolygonAnswer>();
    expectTypeOf<AnswerOf<"<VQA>Is it red?">>().toEqualTypeOf<string>();
    expectTypeOf<AnswerOf<typeof tags>>().toEqualTypeOf<string[]>();
    expectTypeOf<AnswerOf<typeof defects>>().toEqualTypeOf<string>();
    expectTypeOf(parseAnswer("<OD>", "", size).bboxes).toEqualTypeOf<[number, number, number, number][]>();
    expectTypeOf(parseAnswer(tags, "", size)).toEqualTypeOf<string[]>();
  });

  compiled(async () => {
    const od = await model.run(image, "<OD>");
    expectTypeOf(od.answer).toEqualTypeOf<BoxAnswer>();
    expectTypeOf(od.sequences[0]!.answer).toEqualTypeOf<BoxAnswer>();
    expectTypeOf((await model.run(image, tags)).answer).toEqualTypeOf<string[]>();
    expectTypeOf((await model.run(image, "Is it red?")).answer).toEqualTypeOf<string>();
    const any: string = "<OD>";
    expectTypeOf((await model.run(image, any)).answer).toEqualTypeOf<AnswerOf<string>>();
    for await (const { result } of model.stream(image, "<OD>")) {
      expectTypeOf(result!.answer).toEqualTypeOf<BoxAnswer>();
    }
    const batch = await model.runBatch([
      { image, task: "<OD>" },
      { image, task: "<CAPTION>" },
    ]);
    expectTypeOf(batch[0]!.answer).toEqualTypeOf<BoxAnswer | string>();
    const images = [image, image];
    const mapped = await model.runBatch(images.map((own) => ({ image: own, task: "<OCR>" as const })));
    expectTypeOf(mapped[0]!.answer).toEqualTypeOf<string>();
  });
});

describe("the inputs of a task", () => {
  compiled(async () => {
    const { answer, objects } = await model.run(image, "<OD>");
    await model.run(image, "<OD>", {});
    await model.run(image, "<OD>", { numBeams: 1 });
    await model.run(image, "<OPEN_VOCABULARY_DETECTION>", { text: "a bus" });
    await model.run(image, "<OPEN_VOCABULARY_DETECTION>", { text: ["a bus", "a car"] as const });
    await model.run(image, "<OPEN_VOCABULARY_DETECTION>a bus");
    await model.run(image, "<REGION_TO_OCR>", { region: answer.bboxes[0]! });
    await model.run(image, "<REGION_TO_OCR>", { region: objects[0]!.box });
    await model.run(image, "<REGION_TO_OCR>", { region: { x1: 1, y1: 2, x2: 3, y2: 4 } });
    await model.run(image, "<REGION_TO_OCR>", { text: "<loc_1><loc_2><loc_3><loc_4>" });
    await model.run(image, "<VQA>", { text: "Is it red?" });
    await model.run(image, "Is it red?");
    await model.run(image, tags);
    await model.run(image, defects, { region: [1, 2, 3, 4] });
    const anyTask: string = "<OD>";
    const anyText: string | undefined = undefined;
    await model.run(image, anyTask, { text: anyText });
    const token = "<OD>" as TaskToken;
    await model.run(image, token, { text: anyText });
    await model.runBatch([{ image, task: "<OPEN_VOCABULARY_DETECTION>", text: "a bus" }]);
    const items: BatchItem[] = [{ image, task: anyTask, text: anyText }];
    await model.runBatch(items);

    // @ts-expect-error: a text is missing
    await model.run(image, "<OPEN_VOCABULARY_DETECTION>");
    // @ts-expect-error: a text is missing
    await model.run(image, "<OPEN_VOCABULARY_DETECTION>", { numBeams: 1 });
    // @ts-expect-error: a region is missing
    await model.run(image, "<REGION_TO_OCR>");
    // @ts-expect-error: a region is missing
    await model.run(image, "<REGION_TO_OCR>", {});
    // @ts-expect-error: a region is missing
    await model.run(image, defects);
    // @ts-expect-error: three edges are no region
    await model.run(image, "<REGION_TO_OCR>", { region: [1, 2, 3] });
    // @ts-expect-error: a region is missing
    model.stream(image, "<REGION_TO_OCR>");
    // @ts-expect-error: a text is missing
    await model.runBatch([{ image, task: "<OPEN_VOCABULARY_DETECTION>" }]);
    // @ts-expect-error: no such option
    await model.run(image, "<OD>", { num_beams: 1 });
    // @ts-expect-error: no such kind of input
    defineTask({ token: "<A>", input: "image" });
  });

  compiled(() => {
    // A wrapper passes the arguments on with the tuple's type.
    const ask = <const T extends TaskToken>(task: T, ...rest: RunArguments<T>) =>
      model.run(image, task, ...rest);
    ask("<OD>");
    ask("<REGION_TO_OCR>", { region: [1, 2, 3, 4] });
    // @ts-expect-error: a region is missing
    ask("<REGION_TO_OCR>");
  });
});
