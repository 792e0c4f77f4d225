import { z } from "zod";
import { badRequest } from "../../http/errors.ts";
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

export const segment = defineTool({
  name: "segment",
  title: "Outline an object",
  description: "Outline what a phrase describes, or the object in a box, as polygons.",
  input: z.strictObject({
    image: imageSchema,
    phrase: z.string().min(1).optional().describe("What to outline; or give box"),
    box: boxArgument.optional(),
    coordinates: coordinatesArgument,
    picture: pictureArgument,
  }),
  output: z.object({ ...imageFields, objects: z.array(objectSchema), warnings: warningsField }),
  async answer({ image: given, phrase, box, coordinates, picture }, visit) {
    if ((phrase === undefined) === (box === undefined))
      throw badRequest("invalid_value", "Give phrase or box, one of them: what is to be outlined.", "phrase");
    const { image, answers } = await visit.ask(given, [
      box
        ? ["<REGION_TO_SEGMENTATION>", { region: regionOf(box) }]
        : ["<REFERRING_EXPRESSION_SEGMENTATION>", { text: phrase }],
    ]);
    const { sequences, warnings } = answers[0]!;
    // Masks come without a label.
    const raw = sequences[0].objects.map((object) => ({ ...object, label: object.label || (phrase ?? "") }));
    const objects = raw.map((object) => foundObject(object, image, coordinates));
    return {
      structured: { ...fieldsOf(image), objects, ...(warnings?.length && { warnings: [...warnings] }) },
      text: textOf(image, objects.length > 0 ? objects.map(lineOf) : ["Nothing was outlined."], warnings),
      picture: picture ? await drawnPicture(image.file, raw, visit.limits) : undefined,
    };
  },
});
