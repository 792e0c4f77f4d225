import { z } from "zod";
import { ApiError, badRequest } from "../../http/errors.ts";
import { cutOut, paddedBox, pixelsOf } from "../pictures.ts";
import { type Box, boxArgument, boxSchema, edgesOf, imageFields, imageSchema, regionOf } from "../schemas.ts";
import type { Visit } from "../visit.ts";
import { defineTool, scoreOf } from "./tool.ts";

export const crop = defineTool({
  name: "crop",
  title: "Cut out a part",
  description:
    "Cut a part out of an image and look at it: a box, or the object that a label names. The part has an image_id of its own, so that all other tools can be asked about it.",
  input: z.strictObject({
    image: imageSchema,
    box: boxArgument.optional(),
    label: z.string().min(1).optional().describe("What to cut out, found by the model; or give box"),
    padding: z.number().min(0).max(10).default(0).describe("Room on each side, as a part of the box's size"),
  }),
  output: z.object({
    ...imageFields,
    image_id: z.string().describe("Stands for the part in later calls"),
    width: z.int().describe("Of the part, in pixels"),
    height: z.int(),
    box: boxSchema.describe("Of the part, in pixels of the whole image"),
    score: z.number().optional().describe("Confidence that the label is there, 0 to 1"),
  }),
  async answer({ image: given, box, label, padding }, visit) {
    if ((box === undefined) === (label === undefined))
      throw badRequest("invalid_value", "Give box or label, one of them: what is to be cut out.", "box");
    const place = box ? { box: regionOf(box), file: await visit.fileOf(given) } : await findLabel(label!);
    const pixels = await pixelsOf(place.file, visit.limits);
    const region = paddedBox(place.box, padding, pixels);
    const { file, picture } = await cutOut(pixels, region);
    const [width, height] = [region.x2 - region.x1, region.y2 - region.y1];
    const id = visit.keep(file);
    const { x1, y1, x2, y2 } = region;
    return {
      structured: {
        image_id: id,
        width,
        height,
        box: region,
        ...("score" in place && { score: Number(place.score.toFixed(3)) }),
      },
      text: `(${x1}, ${y1}, ${x2}, ${y2}) of the image: ${width} x ${height} pixels, image_id ${id}`,
      picture,
    };

    async function findLabel(name: string): Promise<{ box: Box; score: number; file: Uint8Array }> {
      return bestOf(await visit.ask(given, [["<OPEN_VOCABULARY_DETECTION>", { text: name }]]), name);
    }
  },
});

/** The most certain of the objects that were found. */
function bestOf({ image, answers }: Awaited<ReturnType<Visit["ask"]>>, label: string) {
  const [best] = [...answers[0]!.sequences[0].objects].sort((a, b) => scoreOf(b) - scoreOf(a));
  if (!best)
    throw new ApiError(
      404,
      "not_found",
      `No "${label.slice(0, 100)}" was found; detect_objects lists what there is.`,
      { param: "label" },
    );
  return { box: edgesOf(best.box), score: scoreOf(best), file: image.file };
}
