import { parseUnlabelledBoxes } from "./parsing/boxes.ts";
import { defineTask } from "./task.ts";

/** Boxes of possible objects; all labels are empty. */
export const regionProposal = defineTask({
  token: "<REGION_PROPOSAL>",
  input: "none",
  prompt: () => "Locate the region proposals in the image.",
  parse: parseUnlabelledBoxes,
});
