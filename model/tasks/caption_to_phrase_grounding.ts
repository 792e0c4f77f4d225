import { parseGroundedPhrases } from "./parsing/boxes.ts";
import { defineTask } from "./task.ts";

/** Phrases that both processors leave out of the answer: they name nothing that has a place. */
const vaguePhrases: ReadonlySet<string> = new Set([
  ...["I", "me", "mine", "myself", "you", "your", "yours", "yourself", "yourselves"],
  ...["he", "him", "his", "himself", "she", "her", "hers", "herself", "it", "its", "itself"],
  ...["we", "us", "our", "ours", "ourselves", "they", "them", "their", "theirs", "themselves"],
  ...["this", "that", "these", "those", "who", "whom", "whose", "which", "what"],
  ...[
    "all",
    "another",
    "any",
    "anybody",
    "anyone",
    "anything",
    "each",
    "each other",
    "few",
    "many",
    "several",
  ],
  ...["everybody", "everyone", "everything", "nobody", "none", "one", "one another", "oneself"],
  ...["some", "somebody", "someone", "something", "lots", "other objects"],
  ...["a", "a group", "a set", "an", "the", "image", "images", "the image"],
]);

/** A box for each thing that a phrase of the caption names. */
export const captionToPhraseGrounding = defineTask({
  token: "<CAPTION_TO_PHRASE_GROUNDING>",
  input: "text",
  prompt: (caption) => `Locate the phrases in the caption: ${caption}`,
  parse: (generated, context) => parseGroundedPhrases(generated, context, vaguePhrases),
});
