/** Two images, each with 17 questions and their true answers. */
import { fileURLToPath } from "node:url";
import { openDataSet } from "../../datasets/truth/data_set.ts";

const SCENES = fileURLToPath(new URL("../fixtures/eval/scenes.jsonl", import.meta.url));
/** The folder of the images. */
export const IMAGES = fileURLToPath(new URL("../../examples/", import.meta.url));
export const openScenes = (options = {}) => openDataSet(SCENES, { images: IMAGES, ...options });
