export { drawOnPicture } from "./picture.ts";
export { type DrawOptions, drawAnswer } from "./svg.ts";
