import { z } from "zod";
import { drawnPicture } from "../pictures.ts";
import {
  boxArgument,
  boxSchema,
  coordinatesArgument,
  foundObject,
  imageFields,
  imageSchema,
  objectSchema,
  pictureArgument,
  regionOf,
  warningsField,
} from "../schemas.ts";
import { defineTool, fieldsOf, textOf } from "./tool.ts";

export const readText = defineTool({
  name: "read_text",
  title: "Read text",
  description:
    "Read the text in an image: line by line with the place of each line, or only what stands in the regions that you give.",
  input: z.strictObject({
    image: imageSchema,
    regions: z.array(boxArgument).min(1).optional().describe("Where to read; everywhere if left out"),
    coordinates: coordinatesArgument,
    picture: pictureArgument,
  }),
  output: z.object({
    ...imageFields,
    text: z.string().describe("All lines"),
    lines: z.array(objectSchema).describe("Lines and their places, without regions"),
    regions: z
      .array(z.object({ box: boxSchema, text: z.string() }))
      .optional()
      .describe("The text of each region, in pixels as given"),
    warnings: warningsField,
  }),
  async answer({ image: given, regions, coordinates, picture }, visit) {
    const boxes = regions?.map(regionOf);
    const { image, answers } = await visit.ask(
      given,
      boxes?.map((region) => ["<REGION_TO_OCR>", { region }] as const) ?? [["<OCR_WITH_REGION>"]],
    );
    const warnings = answers.flatMap((answered) => answered.warnings ?? []);
    const best = answers.map(({ sequences }) => sequences[0]);
    const raw = boxes ? [] : best[0]!.objects;
    const lines = raw.map((object) => foundObject(object, image, coordinates));
    const read = boxes?.map((box, i) => ({ box, text: best[i]!.text.trim() }));
    const text = (read?.map((one) => one.text) ?? lines.map(({ label }) => label)).join("\n");
    const drawn = boxes
      ? boxes.map(({ x1, y1, x2, y2 }, i) => ({ label: best[i]!.text, box: [x1, y1, x2, y2] as const }))
      : raw;
    return {
      structured: {
        ...fieldsOf(image),
        text,
        lines,
        ...(read && { regions: read }),
        ...(warnings.length > 0 && { warnings }),
      },
      text: textOf(image, [text || "No text was found."], warnings),
      picture: picture ? await drawnPicture(image.file, drawn, visit.limits) : undefined,
    };
  },
});
