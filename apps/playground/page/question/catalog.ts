/** The library's tasks as the page shows them: groups, short names, one line of help. */
import { type TaskInput, type TaskToken, tasks } from "florence2-webgpu";

export interface CatalogEntry {
  readonly token: TaskToken;
  readonly name: string;
  readonly help: string;
  readonly input: TaskInput;
  /** What the field for its text is called, and an example. */
  readonly field?: { readonly label: string; readonly example: string; readonly isList?: boolean };
}

type Shown = Omit<CatalogEntry, "token" | "input">;

const groupsShown: Readonly<Record<string, Partial<Record<TaskToken, Shown>>>> = {
  Describe: {
    "<CAPTION>": { name: "Caption", help: "One sentence about the picture." },
    "<DETAILED_CAPTION>": { name: "Detailed", help: "A few sentences about the picture." },
    "<MORE_DETAILED_CAPTION>": { name: "Paragraph", help: "A paragraph about the picture." },
  },
  Find: {
    "<OD>": { name: "Objects", help: "Boxes around objects, with their names." },
    "<DENSE_REGION_CAPTION>": { name: "Described regions", help: "Boxes, each with a short description." },
    "<REGION_PROPOSAL>": {
      name: "Proposals",
      help: "Boxes around whatever may be an object, without names.",
    },
    "<CAPTION_TO_PHRASE_GROUNDING>": {
      name: "Phrases",
      help: "Boxes for the phrases of a caption.",
      field: { label: "Caption", example: "A dog next to a blue heart." },
    },
    "<OPEN_VOCABULARY_DETECTION>": {
      name: "By name",
      help: "Boxes for things that you name.",
      field: { label: "Things to find, separated by commas", example: "a dog, a blue heart", isList: true },
    },
    "<REFERRING_EXPRESSION_SEGMENTATION>": {
      name: "Outline by name",
      help: "The outline of a thing that you name.",
      field: { label: "Things to outline, separated by commas", example: "the blue heart", isList: true },
    },
  },
  Read: {
    "<OCR>": { name: "Text", help: "All text in the picture." },
    "<OCR_WITH_REGION>": { name: "Lines with places", help: "Each line of text, and where it stands." },
  },
  "In a region": {
    "<REGION_TO_CATEGORY>": { name: "Name", help: "What kind of thing is in the region." },
    "<REGION_TO_DESCRIPTION>": { name: "Describe", help: "A description of what is in the region." },
    "<REGION_TO_OCR>": { name: "Read", help: "The text in the region." },
    "<REGION_TO_SEGMENTATION>": { name: "Outline", help: "The outline of the thing in the region." },
  },
};

const known = new Map(tasks.map(({ token, input }) => [token as TaskToken, input as TaskInput]));

export const groups: readonly { readonly name: string; readonly entries: readonly CatalogEntry[] }[] =
  Object.entries(groupsShown).map(([name, entries]) => ({
    name,
    entries: Object.entries(entries).map(([token, shown]) => ({
      ...shown,
      token: token as TaskToken,
      input: known.get(token as TaskToken)!,
    })),
  }));

const entries = new Map(groups.flatMap((group) => group.entries.map((entry) => [entry.token, entry])));

export const entryOf = (token: TaskToken): CatalogEntry => entries.get(token)!;
export const isTask = (token: string): token is TaskToken => entries.has(token as TaskToken);

/** Tasks about a region, which a found object can be asked. */
export const regionEntries = [...entries.values()].filter(({ input }) => input === "region");

/**
 * The text of a field as a task takes it: a list where it takes several, one text else.
 *
 * @example textsOf(entryOf("<OPEN_VOCABULARY_DETECTION>"), "a dog, a cat") // ["a dog", "a cat"]
 */
export function textsOf({ field }: CatalogEntry, given: string): string | string[] {
  if (!field?.isList) return given.trim();
  const texts = given
    .split(/[,;\n]/)
    .map((text) => text.trim())
    .filter(Boolean);
  return texts.length === 1 ? texts[0]! : texts;
}
