import { type Suppression, suppress } from "./geometry/suppression.ts";
import { areaOf, clipObjects, type LabelledImage, type LabelledObject } from "./labelled.ts";

/** A class of a data set: the label that it is made from, and the limits of its objects. */
export interface ClassRule {
  /** The label in the question or in the answer. */
  readonly prompt: string;
  /** The class in the data set; several prompts may have one. Default: the prompt. */
  readonly label?: string;
  readonly minScore?: number;
  /** Shares of the image's area, 0 to 1. */
  readonly minArea?: number;
  readonly maxArea?: number;
}

export interface SelectionOptions {
  /** Prompts and their classes; all labels are kept as they are without any. */
  readonly classes?: readonly ClassRule[];
  /** Of all classes that have no limits of their own. */
  readonly minScore?: number;
  readonly minArea?: number;
  readonly maxArea?: number;
  readonly suppression?: Suppression;
  /** IoU from which a box counts as a repetition of a better one. Default 0.5. */
  readonly iou?: number;
  /** Keeps the best of each image. */
  readonly maxPerImage?: number;
}

/** How labels are compared: without regard to capitals and outer white space. */
const nameOf = (label: string) => label.trim().toLowerCase();

/**
 * The things of an image that pass all limits, with the names of their classes, clipped to the image. Things
 * keep the order in which the model named them.
 *
 * @example select(image, { classes: [{ prompt: "kitten", label: "cat" }], minScore: 0.5 })
 */
export function select(image: LabelledImage, options: SelectionOptions = {}): LabelledImage {
  const { classes, suppression = "class", iou, maxPerImage = Infinity } = options;
  const rules = new Map(classes?.map((rule) => [nameOf(rule.prompt), rule]));
  const passed = clipObjects(image).flatMap((object) => {
    const rule = rules.get(nameOf(object.label));
    if (classes && !rule) return [];
    const named = { ...object, label: rule ? (rule.label ?? rule.prompt) : object.label };
    return passes(named, image, { ...options, ...definedOf(rule) }) ? [named] : [];
  });
  const best = suppress(passed, iou, suppression)
    .sort((a, b) => (b.score ?? 1) - (a.score ?? 1))
    .slice(0, maxPerImage);
  const kept = new Set(best);
  return { ...image, objects: passed.filter((object) => kept.has(object)) };
}

function passes(
  object: LabelledObject,
  image: LabelledImage,
  { minScore = 0, minArea = 0, maxArea = 1 }: Pick<ClassRule, "minScore" | "minArea" | "maxArea">,
): boolean {
  const share = areaOf(object, image) / (image.width * image.height);
  return (object.score ?? 1) >= minScore && share >= minArea && share <= maxArea;
}

/** Limits that a rule has; those that it leaves open do not hide the general ones. */
function definedOf(rule: ClassRule | undefined): Partial<ClassRule> {
  return Object.fromEntries(Object.entries(rule ?? {}).filter(([, value]) => value !== undefined));
}

/** The names of classes in their order, each once: where several prompts have one, its first place. */
export function classNames(classes: readonly ClassRule[]): string[] {
  return [...new Set(classes.map(({ prompt, label }) => label ?? prompt))];
}
