/** What pages give: all that a browser can draw. */
import type { Florence2 } from "florence2-webgpu";

export const look = (
  model: Florence2,
  canvas: HTMLCanvasElement,
  image: HTMLImageElement,
  video: HTMLVideoElement,
) => [model.run(canvas, "<OD>"), model.run(image, "<OD>"), model.run(video, "<OD>")];
export const lookAtFrame = (
  model: Florence2,
  bitmap: ImageBitmap,
  frame: VideoFrame,
  canvas: OffscreenCanvas,
) => [model.run(bitmap, "<OD>"), model.run(frame, "<OD>"), model.run(canvas, "<OD>")];
export const ofFile = async (model: Florence2, file: File) => (await model.run(file, "<OCR>")).answer;
