import { z } from "zod";
import { boxArgument, imageFields, imageSchema, regionOf, warningsField } from "../schemas.ts";
import { defineTool, fieldsOf, textOf } from "./tool.ts";

const TASKS = { description: "<REGION_TO_DESCRIPTION>", category: "<REGION_TO_CATEGORY>" } as const;

export const describeRegion = defineTool({
  name: "describe_region",
  title: "Describe a region",
  description: "Say what is in a box of an image: a short description, or the category of the object.",
  input: z.strictObject({
    image: imageSchema,
    box: boxArgument,
    kind: z.enum(["description", "category"]).default("description"),
  }),
  output: z.object({ ...imageFields, text: z.string(), warnings: warningsField }),
  async answer({ image: given, box, kind }, visit) {
    const { image, answers } = await visit.ask(given, [[TASKS[kind], { region: regionOf(box) }]]);
    const { sequences, warnings } = answers[0]!;
    const text = sequences[0].text.trim();
    return {
      structured: { ...fieldsOf(image), text, ...(warnings?.length && { warnings: [...warnings] }) },
      text: textOf(image, [text], warnings),
    };
  },
});
