export { drawOnPicture } from "./picture.ts";
export { drawAnswer } from "./svg.ts";
