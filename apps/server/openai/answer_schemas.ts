import { tasks } from "florence2-webgpu";
import { z } from "zod";

const box = z.array(z.number()).length(4).describe("x1, y1, x2, y2 in pixels");
const scores = z.array(z.number()).describe("confidence of each, 0 to 1");
const labels = z.array(z.string());
const polygons = z.array(z.array(z.array(z.number()))).describe("for each mask its parts, x, y, ... each");

const text = z.object({ text: z.string() });
const boxes = z.object({ bboxes: z.array(box), labels, scores });
const quads = z.object({ quad_boxes: z.array(z.array(z.number()).length(8)), labels, scores });
const masks = z.object({ polygons, labels, scores });
const boxesOrMasks = z.object({
  bboxes: z.array(box),
  bboxes_labels: labels,
  polygons,
  polygons_labels: labels,
  scores,
  polygons_scores: scores,
});

const OF_TASK: Readonly<Record<string, z.ZodType>> = {
  "<OD>": boxes,
  "<DENSE_REGION_CAPTION>": boxes,
  "<REGION_PROPOSAL>": boxes,
  "<CAPTION_TO_PHRASE_GROUNDING>": boxes,
  "<OCR_WITH_REGION>": quads,
  "<REFERRING_EXPRESSION_SEGMENTATION>": masks,
  "<REGION_TO_SEGMENTATION>": masks,
  "<OPEN_VOCABULARY_DETECTION>": boxesOrMasks,
};

export const objectSchema = z.object({
  label: z.string(),
  box,
  score: z.number(),
  quad: z.array(z.number()).optional(),
  polygons: z.array(z.array(z.number())).optional(),
});

export type JsonSchema = Readonly<Record<string, unknown>>;

const plain = (schema: z.ZodType): JsonSchema => {
  const { $schema, ...rest } = z.toJSONSchema(schema);
  return rest;
};

/** The JSON Schema of a task's answer, as JSON gives it: in words, it is `{ text }`. */
export const answerSchema = (tag: string): JsonSchema => plain(OF_TASK[tag] ?? text);

/** Whether a task, or a free prompt, is answered in words, which can be told piece by piece. */
export const isInWords = (tag: string): boolean => !Object.hasOwn(OF_TASK, tag);

/** The same for an answer with objects, of any task. */
export const objectsSchema: JsonSchema = plain(z.object({ objects: z.array(objectSchema) }));

/** Input and answer of each task, for people and programs. */
export const taskList = tasks.map(({ token, input }) => ({
  task: token,
  input,
  answer: answerSchema(token),
}));
