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
} from "../schemas.ts";
import { defineTool, fieldsOf, textOf } from "./tool.ts";

export const find = defineTool({
  name: "find",
  title: "Find what phrases describe",
  description:
    "Locate what each of several phrases describes, such as 'the man in the red coat'. The model assumes that it is there: judge by the score.",
  input: z.strictObject({
    image: imageSchema,
    phrases: z.array(z.string().min(1)).min(1).describe("What to locate, a phrase each"),
    coordinates: coordinatesArgument,
    picture: pictureArgument,
  }),
  output: z.object({
    ...imageFields,
    found: z
      .array(z.object({ phrase: z.string(), objects: z.array(objectSchema) }))
      .describe("In the order of the phrases"),
  }),
  async answer({ image: given, phrases, coordinates, picture }, visit) {
    const { image, answers } = await visit.ask(
      given,
      phrases.map((text) => ["<CAPTION_TO_PHRASE_GROUNDING>", { text }] as const),
    );
    const raw = answers.map(({ sequences }) => sequences[0].objects);
    const found = phrases.map((phrase, i) => ({
      phrase,
      objects: raw[i]!.map((object) => foundObject(object, image, coordinates)),
    }));
    const lines = found.flatMap(({ phrase, objects }) =>
      objects.length > 0 ? objects.map(lineOf) : [`${phrase}: nothing was found`],
    );
    return {
      structured: { ...fieldsOf(image), found },
      text: textOf(image, lines),
      picture: picture ? await drawnPicture(image.file, raw.flat(), visit.limits) : undefined,
    };
  },
});
