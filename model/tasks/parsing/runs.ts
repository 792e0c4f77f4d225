import type { Span } from "./generated_text.ts";

/** A tag in clean text. */
export type Tag = Span & {
  readonly content: string;
  /** Number of a location tag. */
  readonly bin?: number | undefined;
};

/**
 * Location tags alone, and with those that structure polygons. As in Python, bins are not limited to 999 here,
 * and digits may be of any script; models generate neither.
 */
export const LOCATION_TAGS = /<loc_(\p{Nd}+)>/gu;
export const POLYGON_TAGS = /<loc_(\p{Nd}+)>|<sep>|<poly>|<\/poly>/gu;

/** The fewest tags in a row that count as a region. */
const SHORTEST_RUN = 4;

/**
 * All stretches of tags with nothing between them.
 *
 *     tagRuns("a<loc_1><loc_2>b<loc_3>", LOCATION_TAGS)  // bins [[1, 2], [3]]
 */
export function tagRuns(text: string, tags: RegExp): Tag[][] {
  const runs: Tag[][] = [];
  for (const match of text.matchAll(tags)) {
    const [content, digits] = match;
    const bin = digits === undefined ? undefined : numberOf(digits);
    const tag: Tag = { content, bin, start: match.index, end: match.index + content.length };
    const run = runs.at(-1);
    if (run?.at(-1)?.end === tag.start) run.push(tag);
    else runs.push([tag]);
  }
  return runs;
}

/**
 * Value of decimal digits of any script. Unicode keeps each script's ten digits together, in their order.
 *
 *     numberOf("52")    // 52
 *     numberOf("５２")  // 52
 */
export function numberOf(digits: string): number {
  if (/^[0-9]+$/.test(digits)) return Number(digits);
  const isDigit = (code: number) => code >= 0 && /^\p{Nd}$/u.test(String.fromCodePoint(code));
  const values = Array.from(digits, (digit) => {
    const code = digit.codePointAt(0)!;
    let zero = code;
    while (isDigit(zero - 1)) zero--;
    return (code - zero) % 10;
  });
  return Number(values.join(""));
}

/** Where the text right before a tag stands. */
export function spanBefore({ start }: Tag, text: string): Span {
  return { start: start - text.length, end: start };
}

/** Text and the tags behind it. */
export type Phrase = {
  /** As the processors' patterns find it. */
  readonly text: string;
  /** All text since the run of tags before. */
  readonly between: string;
  readonly tags: readonly Tag[];
};

/** Runs of at least four tags, whatever stands before them. */
export function bareRuns(text: string, tags: RegExp): Phrase[] {
  return tagRuns(text, tags)
    .filter((run) => run.length >= SHORTEST_RUN)
    .map((run) => ({ text: "", between: "", tags: run }));
}

/**
 * Runs of at least four tags with the text before them: one or more characters other than "<", since the
 * phrase before. The processors' pattern, [^<]+ and tags, may begin inside a tag, and so does this: after
 * "<sep>" the text is "sep>", and a run with no text before it gives up its first tag ("loc_1>").
 *
 *     phrases("car<loc_1><loc_2><loc_3><loc_4>", LOCATION_TAGS)  // one with the text "car" and four tags
 */
export function phrases(text: string, tags: RegExp): Phrase[] {
  const found: Phrase[] = [];
  let phraseEnd = 0;
  let runEnd = 0;
  for (const run of tagRuns(text, tags)) {
    const [first, ...rest] = run as [Tag, ...Tag[]];
    const between = text.slice(runEnd, first.start);
    const before = text.slice(phraseEnd, first.start);
    runEnd = run.at(-1)!.end;
    const label = before.slice(before.lastIndexOf("<") + 1);
    const phrase =
      label !== ""
        ? { text: label, between, tags: run }
        : { text: first.content.slice(1), between, tags: rest };
    if (phrase.tags.length < SHORTEST_RUN) continue;
    found.push(phrase);
    phraseEnd = runEnd;
  }
  return found;
}
