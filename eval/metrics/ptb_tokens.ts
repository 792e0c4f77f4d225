/**
 * The words of a caption as the scores of captions count them: what Stanford's PTBTokenizer 3.4.1 with
 * `-lowerCase` makes of one line of English, without the punctuation that pycocoevalcap drops
 * (pycocoevalcap/tokenizer/ptbtokenizer.py). Rules compete as in a lexer: the longest match wins, of equal
 * ones the first. Left out are rules for what captions do not hold, such as telephone numbers in brackets.
 */

/** Brackets stay: pycocoevalcap means to drop them too, but compares with "-LRB-" in capitals. */
const DROPPED = /^(?:''?|``?|[.?!,:;]|\.\.\.|-+)$/;

/** The tokenizer's replacements for characters that the Penn Treebank did not have. */
const WRITTEN: ReadonlyMap<string, string> = new Map([
  ["(", "-lrb-"],
  [")", "-rrb-"],
  ["[", "-lsb-"],
  ["]", "-rsb-"],
  ["{", "-lcb-"],
  ["}", "-rcb-"],
  ["¢", "cents"],
  ["£", "#"],
  ["€", "$"],
  ["½", "1/2"],
  ["¼", "1/4"],
  ["¾", "3/4"],
  ["…", "..."],
  ["–", "--"],
  ["—", "--"],
  ["&amp;", "&"],
]);

const MONTHS_AND_DAYS = "jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|mon|tue|tues|wed|thu|thurs|fri";
const TITLES = "mr|mrs|ms|miss|drs?|profs?|gen|sen|rep|gov|lt|col|capt|sgt|hon|rev|st|jr|sr|messrs|mmes?";
const PLACES = "ave|blvd|rd|mt|ft|ariz|calif|conn|fla|mass|mich|minn|penn|tenn|wash|wis";
const OTHERS = "inc|corp|co|cos|ltd|bros|dept|univ|assn|vs|etc|al|ed|eds|est|ph\\.d";
/** After one of these a full stop behind a single letter ends a sentence. */
const SENTENCE_STARTS =
  "A|After|An|As|At|But|He|Her|Here|If|In|It|One|Our|She|Since|So|Some|That|The|There|These|They|This|We|What|When|You";

/** Tried in this order at each place. A group is a token of its own. */
const RULES: readonly RegExp[] = [
  /https?:\/\/[^\s"<>|()]+[^\s"<>|().,;!?]/iu,
  /[\p{L}\d][\w.+-]*@[\p{L}\d-]+(?:\.[\p{L}\d-]+)+/iu,
  /[@#][a-z_][a-z_\d]*/iu,
  /<\/?[a-z][^<>]*>/iu,
  /&amp;/iu,
  // Contractions without an apostrophe, or with one inside.
  /(can)(not)(?![\p{L}\d])/iu,
  /(gon|got|wan)([nt]a)(?![\p{L}\d])/iu,
  /(gim|lem)(me)(?![\p{L}\d])/iu,
  /('t)(is|was)(?![\p{L}\d])/iu,
  /(\p{L}[\p{L}\d]*)(n't)(?![\p{L}\d])/iu,
  /'(?:s|m|d|re|ve|ll)(?![\p{L}\d])/iu,
  // Words that keep their apostrophe.
  /[dlo]'\p{L}{2,}/iu,
  /[ldjy]'(?=\p{L}{2})/iu,
  /'n(?:'|(?![\p{L}\d]))|'(?:em|cause|til|till|cuz|nuff)(?![\p{L}\d])|(?<!\d)'\d\ds?(?![\p{L}\d])/iu,
  // Words, also with a full stop inside, as in "example.com", or joined by hyphens or slashes.
  /\p{L}[\p{L}\p{M}\d]*(?:[.!?]\p{L}[\p{L}\p{M}\d]*)*/u,
  /[\p{L}\d]+(?:[-/_][\p{L}\d]+)+/u,
  /\d+\p{L}[\p{L}\d]*/u,
  /[-+]?(?:\d+(?:[.,:]\d+)*|\.\d+)/u,
  // Abbreviations keep their full stop.
  /(?:\p{L}\.)+\p{L}\.?/u,
  new RegExp(`(?:${MONTHS_AND_DAYS}|${TITLES}|${PLACES}|${OTHERS})\\.`, "iu"),
  /(?:no|nos|art|fig|p|pp)\.(?=\s*\d)/iu,
  new RegExp(`\\p{L}\\.(?!\\s+(?:${SENTENCE_STARTS})(?!\\p{L}))(?![\\p{L}\\d])`, "u"),
  /(?:at&t|[a-z]&[a-z])(?![\p{L}\d])/iu,
  /[!?]+|\.{3,}|\*+|''|``/u,
  /-+|\S/u,
].map((rule) => new RegExp(rule, `${rule.flags}y`));

/** Tokens of one caption, lower-cased, without punctuation. */
export function captionTokens(caption: string): string[] {
  const line = caption.replaceAll(/[‘’]/g, "'").replaceAll(/[“”"]/g, "''");
  const tokens: string[] = [];
  for (let at = 0; at < line.length; ) {
    const match = longestMatch(line, at);
    if (!match) {
      at++;
      continue;
    }
    const [whole, ...parts] = match;
    at += whole.length;
    for (const part of parts.length > 0 ? parts : [whole]) {
      const token = WRITTEN.get(part) ?? part.toLowerCase();
      if (!DROPPED.test(token)) tokens.push(token);
    }
  }
  return tokens;
}

function longestMatch(line: string, at: number): RegExpExecArray | undefined {
  let longest: RegExpExecArray | undefined;
  for (const rule of RULES) {
    rule.lastIndex = at;
    const match = rule.exec(line);
    if (match && match[0].length > (longest?.[0].length ?? 0)) longest = match;
  }
  return longest;
}
