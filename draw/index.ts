export { drawOnImage } from "./image.ts";
export { type DrawOptions, drawAnswer } from "./svg.ts";
