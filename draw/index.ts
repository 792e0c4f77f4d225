export { drawOnImage } from "./image.ts";
export { type Mark, marksOf } from "./marks.ts";
export { coloursOf, type DrawOptions, drawAnswer } from "./svg.ts";
