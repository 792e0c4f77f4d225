/** A token that is cut out of the text before byte-pair encoding. Field names are those of tokenizer.json. */
export type AddedToken = {
  readonly id: number;
  readonly content: string;
  /** Left out by decoding with `skipSpecialTokens`. */
  readonly special: boolean;
  /** Whether the token takes in the white space on its left, on its right. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Whether the token is matched in normalised text: such tokens are matched after all others. */
  readonly normalized: boolean;
};

export const LOCATION_BINS = 1000;

/** The location token of a bin: `locationContent(5)` is "<loc_5>". */
export const locationContent = (bin: number): string => `<loc_${bin}>`;

const pairOf = (tag: string) => [`<${tag}>`, `</${tag}>`];

/**
 * The 1024 tokens that Microsoft's processor appends to BART's vocabulary, in the order of the release
 * (processing_florence2.py; `region_to_desciption` is spelled so there).
 */
export const florenceTokens: readonly string[] = [
  ...["od", "ocr"].flatMap(pairOf),
  ...Array.from({ length: LOCATION_BINS }, (_, bin) => locationContent(bin)),
  ...["cap", "ncap", "dcap", "grounding", "seg"].flatMap(pairOf),
  "<sep>",
  ...["region_cap", "region_to_desciption", "proposal", "poly"].flatMap(pairOf),
  "<and>",
];

/** The added tokens of one matching round, by their UTF-16 units. */
export type TokenTrie = { token?: AddedToken; readonly children: Map<string, TokenTrie> };

export function buildTokenTrie(addedTokens: Iterable<AddedToken>): TokenTrie {
  const root: TokenTrie = { children: new Map() };
  for (const token of addedTokens) {
    let node = root;
    for (const unit of token.content.split("")) {
      const child: TokenTrie = node.children.get(unit) ?? { children: new Map() };
      node.children.set(unit, child);
      node = child;
    }
    node.token = token;
  }
  return root;
}

function longestMatch(trie: TokenTrie, text: string, start: number): AddedToken | undefined {
  let longest: AddedToken | undefined;
  let node: TokenTrie | undefined = trie;
  for (let i = start; node !== undefined; i++) {
    longest = node.token ?? longest;
    node = node.children.get(text.charAt(i));
  }
  return longest;
}

const WHITE_SPACE = /^\p{White_Space}$/u;

/**
 * Cuts text into added tokens and the ordinary text between them, none of it empty. The leftmost token is cut
 * first; of several that begin at one place, the longest.
 *
 *     [...splitOnTokens(trie, "a<loc_1>b")]  // "a", the token <loc_1>, "b"
 */
export function* splitOnTokens(trie: TokenTrie, text: string): Generator<AddedToken | string> {
  let done = 0;
  let position = 0;
  while (position < text.length) {
    const token = longestMatch(trie, text, position);
    if (token === undefined) {
      position++;
      continue;
    }
    let start = position;
    let end = position + token.content.length;
    if (token.lstrip) while (start > done && WHITE_SPACE.test(text.charAt(start - 1))) start--;
    if (token.rstrip) while (end < text.length && WHITE_SPACE.test(text.charAt(end))) end++;
    if (start > done) yield text.slice(done, start);
    yield token;
    done = end;
    position = end;
  }
  if (done < text.length) yield text.slice(done);
}
