import { z } from "zod";
import { drawnPicture } from "../pictures.ts";
import {
  coordinatesArgument,
  foundObject,
  imageFields,
  imageSchema,
  lineOf,
  objectSchema,
  pictureArgument,
  warningsField,
} from "../schemas.ts";
import { defineTool, fieldsOf, scoreOf, textOf } from "./tool.ts";

export const detectObjects = defineTool({
  name: "detect_objects",
  title: "Detect objects",
  description:
    "Find the objects in an image, with a box and a confidence each: those that it notices by itself, or all of the classes that you name.",
  input: z.strictObject({
    image: imageSchema,
    classes: z.array(z.string().min(1)).min(1).optional().describe("Names of what to look for"),
    min_score: z.number().min(0).max(1).default(0).describe("Leave out what is less certain"),
    coordinates: coordinatesArgument,
    picture: pictureArgument,
  }),
  output: z.object({ ...imageFields, objects: z.array(objectSchema), warnings: warningsField }),
  async answer({ image: given, classes, min_score, coordinates, picture }, visit) {
    const { image, answers } = await visit.ask(given, [
      classes ? ["<OPEN_VOCABULARY_DETECTION>", { text: classes }] : ["<OD>"],
    ]);
    const { sequences, warnings } = answers[0]!;
    const kept = sequences[0].objects.filter((object) => scoreOf(object) >= min_score);
    const objects = kept.map((object) => foundObject(object, image, coordinates));
    return {
      structured: { ...fieldsOf(image), objects, ...(warnings?.length && { warnings: [...warnings] }) },
      text: textOf(image, objects.length > 0 ? objects.map(lineOf) : ["Nothing was found."], warnings),
      picture: picture ? await drawnPicture(image.file, kept, visit.limits) : undefined,
    };
  },
});
