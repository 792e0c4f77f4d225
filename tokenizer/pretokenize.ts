// The split that precedes byte-pair encoding: GPT-2's rule (Radford et al. 2019, the pattern of the released
// encoder). It is a scanner and not a regular expression, so that hostile text costs linear time and no
// stack, and so that the character classes are the reference's (Unicode White_Space, L and N) and not
// JavaScript's \s, which lacks U+0085 and adds U+FEFF.

type CharacterClass = "letter" | "number" | "space" | "other";

const LETTER = /^\p{L}/u;
const NUMBER = /^\p{N}/u;
const SPACE = /^\p{White_Space}/u;

function classify(character: string): CharacterClass {
  if (LETTER.test(character)) return "letter";
  if (NUMBER.test(character)) return "number";
  return SPACE.test(character) ? "space" : "other";
}

const asciiClasses = Array.from({ length: 128 }, (_, code) => classify(String.fromCharCode(code)));

/** Class of the code point at `position`. Unicode's version is the JavaScript engine's. */
function classAt(text: string, position: number): CharacterClass {
  const code = text.codePointAt(position)!;
  return asciiClasses[code] ?? classify(String.fromCodePoint(code));
}

const CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

/**
 * Splits text into the pieces that are byte-pair encoded one by one; joined, they are the text again. A piece is
 * the first of these that fits: an English contraction; a run of letters, of numbers or of other characters, with
 * at most one U+0020 before it; a run of white space, without its last character if a word follows.
 *
 *     [...pretokenize("it's  two cars!")]  // "it", "'s", " ", " two", " cars", "!"
 */
export function* pretokenize(text: string): Generator<string> {
  let start = 0;
  while (start < text.length) {
    const end = pieceEnd(text, start);
    yield text.slice(start, end);
    start = end;
  }
}

function pieceEnd(text: string, start: number): number {
  const first = text[start];
  const contraction = first === "'" && CONTRACTIONS.find((suffix) => text.startsWith(suffix, start));
  if (contraction) return start + contraction.length;

  const wordStart = first === " " && start + 1 < text.length ? start + 1 : start;
  if (classAt(text, wordStart) !== "space") return runEnd(text, wordStart);

  const end = runEnd(text, start);
  // All white space is in the basic plane: the last character of the run is one unit.
  return end === text.length || end === start + 1 ? end : end - 1;
}

/** End of the run of characters of one class that begins at `start`. */
function runEnd(text: string, start: number): number {
  const runClass = classAt(text, start);
  let end = start;
  while (end < text.length && classAt(text, end) === runClass) end += text.codePointAt(end)! > 0xffff ? 2 : 1;
  return end;
}
