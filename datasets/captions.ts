/** Captions as training takes them: one line of text beside each image. */

export interface CaptionStyle {
  /** Stand before and behind each caption, as they are. */
  readonly prefix?: string;
  readonly suffix?: string;
  /** A word that stands for what is taught, before all else, with `separator` behind it. */
  readonly trigger?: string;
  readonly separator?: string;
  /** Drops openings such as "The image shows", and quotes around the whole. */
  readonly clean?: boolean;
  readonly maxWords?: number;
}

/** Openings of captions that say nothing about the image. */
const OPENINGS = [
  /^in (?:this|the) (?:image|picture|photo(?:graph)?|scene),?\s*(?:(?:we|you|one) can see|there (?:is|are))?\s+/i,
  /^(?:the|this) (?:image|picture|photo(?:graph)?) (?:shows|features|depicts|displays|captures|is of|is)\s+/i,
  /^(?:an?|the) (?:image|picture|photo(?:graph)?) (?:of|showing|that shows)\s+/i,
  /^there (?:is|are)\s+/i,
];

/**
 * A caption in one line, with everything around it that the style has:
 * `styleCaption("The image shows a cat.\n", { clean: true, trigger: "ohwx" })` → "ohwx, a cat."
 */
export function styleCaption(caption: string, style: CaptionStyle = {}): string {
  const { prefix = "", suffix = "", trigger, separator = ", ", clean = false, maxWords = Infinity } = style;
  const plain = oneLine(clean ? cleanCaption(caption) : caption)!;
  const words = plain.split(" ").slice(0, maxWords).join(" ");
  return [...(trigger ? [trigger] : []), `${prefix}${words}${suffix}`].join(separator).trim();
}

/** Without its opening and quotes: `cleanCaption('"In this image we can see a dog."')` → "a dog." */
export function cleanCaption(caption: string): string {
  const unquoted = caption.trim().replace(/^(["'“‘])(.*)(["'”’])$/s, "$2");
  for (const opening of OPENINGS) {
    const rest = unquoted.replace(opening, "");
    if (rest !== unquoted && rest.trim() !== "") return rest.trim();
  }
  return unquoted.trim();
}

/** A text without line breaks, undefined if there is none: `oneLine("a cat\n")` → "a cat" */
export const oneLine = (text: string | undefined) => text?.replaceAll(/\s+/g, " ").trim();

/** The treatment of a caption that exists already. */
export const CAPTION_MODES = ["skip", "overwrite", "append", "prepend"] as const;
export type CaptionMode = (typeof CAPTION_MODES)[number];

/**
 * The text of a side-car. It stays one line, since trainers take a file for one caption.
 *
 * @param existing undefined where there is no file yet; an empty one is as good as none
 * @example mergeCaption("append", "a cat", "on a mat", ", ") // "a cat, on a mat"
 */
export function mergeCaption(
  mode: CaptionMode,
  existing: string | undefined,
  caption: string,
  separator = ", ",
): string {
  const known = oneLine(existing);
  if (!known || mode === "overwrite") return caption;
  if (mode === "skip") return known;
  return (mode === "append" ? [known, caption] : [caption, known]).join(separator);
}
