import { z } from "zod";
import { imageFields, imageSchema, warningsField } from "../schemas.ts";
import { defineTool, fieldsOf, textOf } from "./tool.ts";

const TASKS = {
  short: "<CAPTION>",
  detailed: "<DETAILED_CAPTION>",
  full: "<MORE_DETAILED_CAPTION>",
} as const;

export const describeImage = defineTool({
  name: "describe_image",
  title: "Describe an image",
  description: "Say in words what an image shows, in a sentence or in a paragraph.",
  input: z.strictObject({
    image: imageSchema,
    detail: z.enum(["short", "detailed", "full"]).default("detailed").describe("How much to say"),
  }),
  output: z.object({ ...imageFields, text: z.string(), warnings: warningsField }),
  async answer({ image: given, detail }, visit) {
    const { image, answers } = await visit.ask(given, [[TASKS[detail]]]);
    const { sequences, warnings } = answers[0]!;
    const text = sequences[0].text.trim();
    return {
      structured: { ...fieldsOf(image), text, ...(warnings?.length && { warnings: [...warnings] }) },
      text: textOf(image, [text], warnings),
    };
  },
});
