import type { Span } from "./generated_text.ts";

/** A tag in clean text. */
export type Tag = Span & {
  readonly content: string;
  /** Number of a location tag. */
  readonly bin?: number;
};

/** Location tags alone, and with those that structure polygons. Bins are not checked here, as in Python. */
export const LOCATION_TAGS = /<loc_([0-9]+)>/g;
export const POLYGON_TAGS = /<loc_([0-9]+)>|<sep>|<poly>|<\/poly>/g;

/** The fewest tags in a row that count as a region. */
const SHORTEST_RUN = 4;

/** All stretches of tags with nothing between them. */
export function tagRuns(text: string, tags: RegExp): Tag[][] {
  const runs: Tag[][] = [];
  for (const match of text.matchAll(tags)) {
    const [content, digits] = match;
    const bin = digits === undefined ? undefined : Number(digits);
    const tag: Tag = { content, bin, start: match.index, end: match.index + content.length };
    const run = runs.at(-1);
    if (run?.at(-1)?.end === tag.start) run.push(tag);
    else runs.push([tag]);
  }
  return runs;
}

/** Text and the tags behind it. */
export type Phrase = { readonly text: string; readonly tags: readonly Tag[] };

/** Runs of at least four tags, whatever stands before them. */
export function bareRuns(text: string, tags: RegExp): Phrase[] {
  return tagRuns(text, tags)
    .filter((run) => run.length >= SHORTEST_RUN)
    .map((run) => ({ text: "", tags: run }));
}

/**
 * Runs of at least four tags with the text before them: one or more characters other than "<", since the
 * phrase before. The processors' pattern, [^<]+ and tags, may begin inside a tag, and so does this: after
 * "<sep>" the text is "sep>", and a run with no text before it gives up its first tag ("loc_1>").
 */
export function phrases(text: string, tags: RegExp): Phrase[] {
  const found: Phrase[] = [];
  let done = 0;
  for (const run of tagRuns(text, tags)) {
    const [first, ...rest] = run as [Tag, ...Tag[]];
    const before = text.slice(done, first.start);
    const label = before.slice(before.lastIndexOf("<") + 1);
    const phrase = label !== "" ? { text: label, tags: run } : { text: first.content.slice(1), tags: rest };
    if (phrase.tags.length < SHORTEST_RUN) continue;
    found.push(phrase);
    done = run.at(-1)!.end;
  }
  return found;
}
