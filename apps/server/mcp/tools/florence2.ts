import { tasks } from "florence2-webgpu";
import { z } from "zod";
import { drawnPicture } from "../pictures.ts";
import {
  boxArgument,
  coordinatesArgument,
  foundObject,
  imageFields,
  imageSchema,
  lineOf,
  objectSchema,
  pictureArgument,
  regionOf,
  warningsField,
} from "../schemas.ts";
import { defineTool, fieldsOf, textOf } from "./tool.ts";

const tagsOf = (input: string) =>
  tasks
    .filter((task) => task.input === input)
    .map(({ token }) => token)
    .join(", ");

export const florence2 = defineTool({
  name: "florence2",
  title: "Ask any task of Florence-2",
  description: `Ask one of the model's tasks by its tag and get the answer in its own shape. Without arguments: ${tagsOf("none")}. With text: ${tagsOf("text")}. With a region: ${tagsOf("region")}.`,
  input: z.strictObject({
    image: imageSchema,
    task: z.string().min(1).describe("A tag such as <DENSE_REGION_CAPTION>, with or without its brackets"),
    text: z
      .union([z.string(), z.array(z.string()).min(1)])
      .optional()
      .describe("What it asks about, for tasks with text; of <OPEN_VOCABULARY_DETECTION> also a list"),
    region: boxArgument.optional(),
    coordinates: coordinatesArgument.describe("Of objects; answer is always in pixels"),
    picture: pictureArgument,
  }),
  output: z.object({
    ...imageFields,
    task: z.string(),
    answer: z.unknown().describe("As the model's authors shape it: a text, or lists of boxes and labels"),
    text: z.string(),
    objects: z.array(objectSchema),
    warnings: warningsField,
  }),
  async answer({ image: given, task, text, region, coordinates, picture }, visit) {
    const { image, answers } = await visit.ask(given, [[task, { text, region: region && regionOf(region) }]]);
    const { sequences, warnings } = answers[0]!;
    const [{ answer, objects: raw, text: words }] = sequences;
    const objects = raw.map((object) => foundObject(object, image, coordinates));
    const lines = typeof answer === "string" ? [words.trim()] : objects.map(lineOf);
    return {
      structured: {
        ...fieldsOf(image),
        task,
        answer,
        text: words,
        objects,
        ...(warnings?.length && { warnings: [...warnings] }),
      },
      text: textOf(image, lines, warnings),
      picture: picture ? await drawnPicture(image.file, raw, visit.limits) : undefined,
    };
  },
});
