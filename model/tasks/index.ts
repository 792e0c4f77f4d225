export { parseAnswer, type ReadAnswer, readAnswer, summaryOf } from "./answer.ts";
export {
  type Answer,
  type AnswerOf,
  type Answers,
  type InputOf,
  type TaskOrPrompt,
  type TaskToken,
  tasks,
} from "./list.ts";
export { type DetectedObject, hasPlaces, objectsOf } from "./objects.ts";
export type { BoxOrPolygonAnswer } from "./open_vocabulary_detection.ts";
export { type BoxAnswer, parseLabelledBoxes, parseUnlabelledBoxes } from "./parsing/boxes.ts";
export { LABEL_WEIGHT } from "./parsing/confidence.ts";
export { decodeGenerated, type GeneratedText, type ScoredTokens } from "./parsing/generated_text.ts";
export { plainText } from "./parsing/labels.ts";
export { type PolygonAnswer, parseLabelledPolygons, parsePolygons } from "./parsing/polygons.ts";
export { parseText } from "./parsing/pure_text.ts";
export { parseQuads, type QuadAnswer } from "./parsing/quads.ts";
export {
  type Coordinates,
  type ImageSize,
  type Labels,
  type ParseOptions,
  SCORES,
  type Scores,
} from "./parsing/rules.ts";
export { type PixelBox, pixelBoxOf, type Region } from "./region.ts";
export { type ResolvedTask, resolveTask } from "./resolve.ts";
export {
  defineTask,
  isTask,
  type ParseContext,
  type Task,
  type TaskDefinition,
  type TaskInput,
} from "./task.ts";
