export { type ParseOptions, parseAnswer } from "./answer.ts";
export {
  type Answer,
  type AnswerOf,
  type Answers,
  type TaskOrPrompt,
  type TaskToken,
  tasks,
} from "./list.ts";
export type { BoxOrPolygonAnswer } from "./open_vocabulary_detection.ts";
export type { BoxAnswer } from "./parsing/boxes.ts";
export { decodeGenerated, type GeneratedText, type ScoredTokens } from "./parsing/generated_text.ts";
export type { Coordinates, ImageSize, PixelBox } from "./parsing/locations.ts";
export type { PolygonAnswer } from "./parsing/polygons.ts";
export type { QuadAnswer } from "./parsing/quads.ts";
export { type ResolvedTask, resolveTask } from "./resolve.ts";
export { defineTask, type ParseContext, type Task } from "./task.ts";
