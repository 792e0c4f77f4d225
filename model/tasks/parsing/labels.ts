import { florenceTokens } from "../../../tokenizer/added_tokens.ts";
import { strip, stripStart } from "./white_space.ts";

/** Special tokens but for locations: BART's, and those that structure Florence-2's answers. */
const SPECIAL_TOKENS = new RegExp(
  [
    "<s>",
    "</s>",
    "<pad>",
    "<unk>",
    "<mask>",
    ...florenceTokens.filter((token) => !token.startsWith("<loc_")),
  ].join("|"),
  "g",
);

/** A location token. Like Python's \d, it takes digits of all scripts; a tokenizer knows ASCII only. */
const LOCATIONS = /<loc_\p{Nd}+>/gu;

/**
 * Text without special tokens, and without white space at its ends.
 *
 *     plainText("</s><s>elephant<loc_31><loc_468></s>")                // "elephant"
 *     plainText("</s><s>at <loc_31></s>", { keepLocations: true })     // "at <loc_31>"
 */
export function plainText(text: string, { keepLocations = false } = {}): string {
  const left = text.replace(SPECIAL_TOKENS, "");
  return strip(keepLocations ? left : left.replace(LOCATIONS, ""));
}

/**
 * The label in the text before a region's tags, as both processors read it. There is none if a line ends after
 * its first visible character: their patterns do not cross lines.
 *
 *     labelOf(" a dog ")  // "a dog"
 *     labelOf("a\ndog")   // undefined
 */
export function labelOf(text: string): string | undefined {
  const label = stripStart(text);
  return label.includes("\n") ? undefined : strip(label);
}

/**
 * The label in all the text since the region before: its last line, without special tokens.
 *
 *     cleanLabel("</s>café <sep>")  // "café"
 */
export function cleanLabel(between: string): string {
  const text = plainText(between);
  return strip(text.slice(text.lastIndexOf("\n") + 1));
}

/**
 * A label without its characters outside ASCII, as both processors give the labels of boxes. Stripped before, it
 * may keep a space at an end.
 *
 *     keepAscii("café 中")  // "caf "
 */
export function keepAscii(label: string): string {
  return label.replace(/[^\0-\x7f]/g, "");
}
