/** What people write, and what must not compile. */
import { type BoxAnswer, Florence2, type LoadOptions, parseAnswer, type Result } from "florence2-webgpu";
import { drawAnswer } from "florence2-webgpu/draw";
import { Tokenizer } from "florence2-webgpu/tokenizer";

export async function detect(model: Florence2, path: string) {
  return (await model.run(path, "<OD>")).answer;
}

export const load = (options: LoadOptions) => Florence2.fromPretrained("microsoft/Florence-2-base", options);
export const onCpu = () => load({ device: "cpu", dtype: "f16" });
export const inWords = async (model: Florence2) =>
  (await model.run(new Uint8Array(), "<CAPTION>")).answer.toUpperCase();
export const boxes = parseAnswer("<OD>", "a<loc_1><loc_2><loc_3><loc_4>", { width: 4, height: 4 });
export const drawing = drawAnswer(boxes, { width: 4, height: 4 });
export const tokens = async () => (await Tokenizer.fromPretrained("nano")).encode("a boat");
export const first = (result: Result<BoxAnswer>) => result.answer.bboxes[0]?.[0];
export const absent = (model: Florence2, text: string | undefined) =>
  model.run("a.jpg", "<OD>", { numBeams: undefined, signal: undefined, text });

// @ts-expect-error there is no such device
load({ device: "cuda" });
// @ts-expect-error there is no such format
load({ dtype: "fp16" });

export const misuse = (model: Florence2) => [
  // @ts-expect-error the task needs a text
  model.run("a.jpg", "<CAPTION_TO_PHRASE_GROUNDING>"),
  // @ts-expect-error the task needs a region
  model.run("a.jpg", "<REGION_TO_OCR>"),
  model.run("a.jpg", "<REGION_TO_OCR>", { region: [1, 2, 3, 4] }),
];
