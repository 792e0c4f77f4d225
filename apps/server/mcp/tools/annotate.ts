import { z } from "zod";
import { badRequest } from "../../http/errors.ts";
import { drawnPicture, pixelsOf } from "../pictures.ts";
import { boxArgument, foundObject, imageFields, imageSchema, objectSchema, regionOf } from "../schemas.ts";
import { defineTool, fieldsOf, textOf } from "./tool.ts";

export const annotate = defineTool({
  name: "annotate",
  title: "Draw onto an image",
  description:
    "Return an image with marks drawn onto it: the boxes that you give, or what a task of the model finds.",
  input: z.strictObject({
    image: imageSchema,
    marks: z
      .array(z.object({ label: z.string().default(""), box: boxArgument }))
      .min(1)
      .optional()
      .describe("Boxes to draw, with what to write at them; or give task"),
    task: z.string().optional().describe("A task such as <OD> or <OCR_WITH_REGION>, whose answer is drawn"),
    text: z.string().optional().describe("What the task asks about, if it takes words"),
  }),
  output: z.object({ ...imageFields, objects: z.array(objectSchema).describe("What was drawn") }),
  async answer({ image: given, marks, task, text }, visit) {
    if ((marks === undefined) === (task === undefined))
      throw badRequest("invalid_value", "Give marks or task, one of them: what is to be drawn.", "marks");
    const { image, objects: drawn } = marks
      ? { image: await open(), objects: marks.map(markOf) }
      : await visit
          .ask(given, [[task!, { text }]])
          .then(({ image, answers }) => ({ image, objects: answers[0]!.sequences[0].objects }));
    const objects = drawn.map((object) => foundObject(object, image, "pixels"));
    return {
      structured: { ...fieldsOf(image), objects },
      text: textOf(image, [`${objects.length} ${objects.length === 1 ? "mark" : "marks"} drawn`]),
      picture: await drawnPicture(image.file, drawn, visit.limits),
    };

    async function open() {
      const file = await visit.fileOf(given);
      const { width, height } = await pixelsOf(file, visit.limits);
      return { id: visit.keep(file), file, width, height };
    }
  },
});

function markOf({ label, box }: { label: string; box: z.output<typeof boxArgument> }) {
  const { x1, y1, x2, y2 } = regionOf(box);
  return { label, box: [x1, y1, x2, y2] as const };
}
