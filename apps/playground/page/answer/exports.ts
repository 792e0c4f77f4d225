/** An answer as files: what the library writes, unchanged. */
import type { Answer } from "florence2-webgpu";
import { type LabelledObject, labelsOf, writeCoco } from "florence2-webgpu/datasets";
import { drawAnswer } from "florence2-webgpu/draw";
import type { Question, Reply } from "../engines/engine.ts";

/** A question, its image and its answer. */
export interface Exchange {
  readonly image: { readonly name: string; readonly blob: Blob };
  readonly question: Question;
  readonly reply: Reply;
}

/** Everything that was asked and answered. */
export function toJson({ image, question, reply }: Exchange): string {
  const { answer, text, objects, width, height } = reply;
  return JSON.stringify({ image: image.name, width, height, ...question, answer, text, objects }, null, 2);
}

/** A COCO data set of this image. */
export function toCoco({ image, reply }: Exchange): string {
  const { width, height, text } = reply;
  const objects = reply.objects.map(({ box: [x1, y1, x2, y2], ...object }): LabelledObject => {
    return { ...object, box: [x1, y1, x2, y2] };
  });
  const labelled = { file: image.name, width, height, objects, ...(objects.length === 0 && { text }) };
  return [...writeCoco([labelled], { classes: labelsOf([labelled]) })].join("");
}

/** The drawing to be laid over the image. */
export function toSvg({ question, reply }: Exchange): string {
  const { answer, width, height } = reply;
  // Labels on a small image need more room.
  const scale = Math.max(1, Math.round(800 / Math.max(width, height)));
  const { region } = question;
  return drawAnswer(answer as Answer, { width, height }, { scale, scores: true, region });
}

/** The image with the drawing on it. */
export async function toPng(exchange: Exchange): Promise<Blob> {
  const { image, reply } = exchange;
  const drawing = await loaded(new Blob([toSvg(exchange)], { type: "image/svg+xml" }));
  const bitmap = await createImageBitmap(image.blob, { imageOrientation: "from-image" });
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [drawing.width, drawing.height];
  const context = canvas.getContext("2d")!;
  const scale = drawing.width / reply.width;
  context.drawImage(bitmap, 0, 0, drawing.width, Math.round(reply.height * scale));
  bitmap.close();
  context.drawImage(drawing, 0, 0);
  return new Promise((resolve, reject) =>
    canvas.toBlob((png) => (png ? resolve(png) : reject(new Error("The browser cannot make a PNG.")))),
  );
}

async function loaded(blob: Blob): Promise<HTMLImageElement> {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  try {
    await image.decode();
    return image;
  } finally {
    URL.revokeObjectURL(image.src);
  }
}
