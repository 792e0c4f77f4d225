/**
 * Letters as single strokes, drawn for this library, so that labels look the same on machines with any fonts
 * or none. In units of a twentieth of a capital's height: capitals reach from 0 down to the baseline at 20,
 * small letters begin at 6, tails end at 26. Only M, L, C and Z with absolute points occur.
 */
const PATHS: Readonly<Record<string, string>> = {
  A: "M0 20L7 0L14 20M2.4 13L11.6 13",
  B: "M0 10L7 10C10.5 10 12.5 12 12.5 15C12.5 18 10.5 20 7 20L0 20L0 0L6.5 0C9.5 0 11.5 2 11.5 5C11.5 8 9.5 10 6.5 10",
  C: "M13.6 4.4C12.4 1.6 10.4 0 7.4 0C3 0 0 4 0 10C0 16 3 20 7.4 20C10.4 20 12.4 18.4 13.6 15.6",
  D: "M0 0L0 20L5.5 20C10.5 20 13.5 16.2 13.5 10C13.5 3.8 10.5 0 5.5 0Z",
  E: "M11 0L0 0L0 20L11 20M0 10L9.5 10",
  F: "M11 0L0 0L0 20M0 10L9.5 10",
  G: "M13.8 4.4C12.5 1.6 10.5 0 7.5 0C3 0 0 4 0 10C0 16 3 20 7.5 20C11.5 20 14 17.5 14 13.5L14 11L8.5 11",
  H: "M0 0L0 20M13 0L13 20M0 10L13 10",
  I: "M0 0L6 0M3 0L3 20M0 20L6 20",
  J: "M8 0L8 14.5C8 18 6.3 20 3.8 20C1.8 20 0.5 19 0 17",
  K: "M0 0L0 20M12 0L0 12M4 8L12.5 20",
  L: "M0 0L0 20L10.5 20",
  M: "M0 20L0 0L7.5 13L15 0L15 20",
  N: "M0 20L0 0L13 20L13 0",
  O: "M7.5 0C3 0 0 4 0 10C0 16 3 20 7.5 20C12 20 15 16 15 10C15 4 12 0 7.5 0Z",
  P: "M0 20L0 0L6.5 0C10.3 0 12.5 2.2 12.5 5.7C12.5 9.3 10.3 11.5 6.5 11.5L0 11.5",
  Q: "M7.5 0C3 0 0 4 0 10C0 16 3 20 7.5 20C12 20 15 16 15 10C15 4 12 0 7.5 0ZM9.5 15L15 21.5",
  R: "M0 20L0 0L6.5 0C10.3 0 12.5 2.2 12.5 5.7C12.5 9.3 10.3 11.5 6.5 11.5L0 11.5M6.5 11.5L12.5 20",
  S: "M12 3.8C11 1.4 9 0 6.3 0C3 0 0.7 1.9 0.7 4.8C0.7 8 3.3 9 6.4 9.8C9.8 10.7 12.5 11.8 12.5 15.1C12.5 18.1 10 20 6.5 20C3.3 20 1 18.5 0 15.8",
  T: "M0 0L13 0M6.5 0L6.5 20",
  U: "M0 0L0 13C0 17.4 2.5 20 6.5 20C10.5 20 13 17.4 13 13L13 0",
  V: "M0 0L7 20L14 0",
  W: "M0 0L5 20L10 3L15 20L20 0",
  X: "M0 0L13 20M13 0L0 20",
  Y: "M0 0L6.7 10.5L13.4 0M6.7 10.5L6.7 20",
  Z: "M0 0L12.5 0L0 20L12.5 20",
  a: "M0.8 8.8C1.6 7 3.2 6 5.2 6C8.1 6 9.7 7.5 9.7 10.3L9.7 20M9.7 12.2L5 12.2C1.8 12.2 0 13.6 0 16.1C0 18.5 1.7 20 4.3 20C7.4 20 9.7 18.2 9.7 15.2",
  b: "M0 0L0 20M0 13C0 8.8 2 6 5.2 6C8.5 6 10.5 8.8 10.5 13C10.5 17.2 8.5 20 5.2 20C2 20 0 17.2 0 13",
  c: "M9.8 9.2C8.9 7.2 7.3 6 5.2 6C2 6 0 8.8 0 13C0 17.2 2 20 5.2 20C7.3 20 8.9 18.8 9.8 16.8",
  d: "M10.5 0L10.5 20M10.5 13C10.5 8.8 8.5 6 5.2 6C2 6 0 8.8 0 13C0 17.2 2 20 5.2 20C8.5 20 10.5 17.2 10.5 13",
  e: "M0 12.8L10.4 12.8C10.4 8.6 8.4 6 5.2 6C2 6 0 8.8 0 13C0 17.2 2 20 5.3 20C7.5 20 9.1 19 9.9 17.2",
  f: "M7 0.3C6.5 0.1 6 0 5.4 0C3.5 0 2.5 1.2 2.5 3.5L2.5 20M0 6.5L6.5 6.5",
  g: "M10.5 6L10.5 21.2C10.5 24.5 8.6 26 5.4 26C3.2 26 1.6 25.3 0.6 24M10.5 13C10.5 8.8 8.5 6 5.2 6C2 6 0 8.8 0 13C0 17.2 2 20 5.2 20C8.5 20 10.5 17.2 10.5 13",
  h: "M0 0L0 20M0 11.5C0 8.2 2.2 6 5.2 6C8.2 6 10 7.9 10 11.2L10 20",
  i: "M0 6L0 20M0 0.8L0 1.4",
  j: "M3 6L3 22.3C3 24.9 1.9 26 0 26M3 0.8L3 1.4",
  k: "M0 0L0 20M9.5 6L0 14.5M3.8 11.1L10 20",
  l: "M0 0L0 16.8C0 19 1 20 3.2 20",
  m: "M0 6L0 20M0 11C0 8 1.8 6 4.4 6C7 6 8.5 7.8 8.5 10.8L8.5 20M8.5 11C8.5 8 10.3 6 12.9 6C15.5 6 17 7.8 17 10.8L17 20",
  n: "M0 6L0 20M0 11.5C0 8.2 2.2 6 5.2 6C8.2 6 10 7.9 10 11.2L10 20",
  o: "M5.4 6C2.1 6 0 8.8 0 13C0 17.2 2.1 20 5.4 20C8.7 20 10.8 17.2 10.8 13C10.8 8.8 8.7 6 5.4 6Z",
  p: "M0 6L0 26M0 13C0 8.8 2 6 5.2 6C8.5 6 10.5 8.8 10.5 13C10.5 17.2 8.5 20 5.2 20C2 20 0 17.2 0 13",
  q: "M10.5 6L10.5 26M10.5 13C10.5 8.8 8.5 6 5.2 6C2 6 0 8.8 0 13C0 17.2 2 20 5.2 20C8.5 20 10.5 17.2 10.5 13",
  r: "M0 6L0 20M0 11.8C0 8.4 2 6.2 5 6.2C5.6 6.2 6.1 6.3 6.5 6.4",
  s: "M9.2 8.6C8.4 7 6.9 6 4.9 6C2.4 6 0.7 7.4 0.7 9.4C0.7 11.6 2.5 12.3 4.9 12.8C7.6 13.4 9.6 14.2 9.6 16.5C9.6 18.6 7.7 20 5 20C2.5 20 0.8 19 0 17.1",
  t: "M2.8 1.8L2.8 16.2C2.8 18.8 3.9 20 6.2 20C6.6 20 6.9 20 7.2 19.9M0 6.3L6.8 6.3",
  u: "M0 6L0 14.8C0 18.1 1.8 20 4.8 20C7.8 20 10 17.8 10 14.5M10 6L10 20",
  v: "M0 6L5.5 20L11 6",
  w: "M0 6L4 20L8 8.5L12 20L16 6",
  x: "M0 6L10 20M10 6L0 20",
  y: "M0 6L5.5 20M11 6L4.6 22.6C3.7 25 2.8 26 0.8 26",
  z: "M0 6L9.5 6L0 20L9.5 20",
  "0": "M6 0C2.3 0 0 3.8 0 10C0 16.2 2.3 20 6 20C9.7 20 12 16.2 12 10C12 3.8 9.7 0 6 0Z",
  "1": "M0 4.2L5.2 0L5.2 20",
  "2": "M0.4 5.2C0.8 2 3 0 6 0C9.3 0 11.4 2 11.4 5C11.4 7.4 10.2 9 7.8 11.6L0 20L11.8 20",
  "3": "M0.6 3.6C1.6 1.3 3.5 0 5.9 0C9 0 11.1 1.9 11.1 4.8C11.1 7.8 9 9.5 5.6 9.5L4.2 9.5M5.6 9.5C9.4 9.5 11.8 11.4 11.8 14.7C11.8 17.9 9.4 20 5.9 20C3 20 0.9 18.6 0 16",
  "4": "M9 20L9 0L0 14.5L12 14.5",
  "5": "M10.8 0L2 0L1 9.2C2.2 8 3.8 7.3 5.8 7.3C9.4 7.3 11.8 9.8 11.8 13.5C11.8 17.4 9.4 20 5.7 20C2.9 20 0.9 18.7 0 16.3",
  "6": "M10.8 3C9.8 1 8.2 0 6.2 0C2.4 0 0 3.9 0 10.8L0 13.6C0 17.5 2.3 20 5.9 20C9.5 20 11.8 17.5 11.8 13.8C11.8 10.1 9.5 7.8 6 7.8C2.7 7.8 0.3 10 0 13.2",
  "7": "M0 0L11.5 0L4 20",
  "8": "M6 9.4C2.9 9.4 0.8 7.5 0.8 4.7C0.8 1.9 2.9 0 6 0C9.1 0 11.2 1.9 11.2 4.7C11.2 7.5 9.1 9.4 6 9.4C2.4 9.4 0 11.5 0 14.7C0 17.9 2.4 20 6 20C9.6 20 12 17.9 12 14.7C12 11.5 9.6 9.4 6 9.4Z",
  "9": "M1 17C2 19 3.6 20 5.6 20C9.4 20 11.8 16.1 11.8 9.2L11.8 6.4C11.8 2.5 9.5 0 5.9 0C2.3 0 0 2.5 0 6.2C0 9.9 2.3 12.2 5.8 12.2C9.1 12.2 11.5 10 11.8 6.8",
  " ": "",
  "!": "M0 0L0 14M0 19.4L0 20",
  '"': "M0 0L0 5M5 0L5 5",
  "#": "M4 0L2 20M11 0L9 20M0 6.5L13 6.5M0 13.5L13 13.5",
  $: "M11 5.2C10 3.2 8.4 2.2 6 2.2C3 2.2 1 3.7 1 6C1 8.6 3.2 9.3 6 10C9 10.7 11.4 11.5 11.4 14.1C11.4 16.4 9.3 17.8 6.1 17.8C3.2 17.8 1 16.7 0 14.5M6 -1L6 21",
  "%": "M14 0L2 20M3.2 0C1.2 0 0 1.6 0 4.2C0 6.8 1.2 8.4 3.2 8.4C5.2 8.4 6.4 6.8 6.4 4.2C6.4 1.6 5.2 0 3.2 0ZM12.8 11.6C10.8 11.6 9.6 13.2 9.6 15.8C9.6 18.4 10.8 20 12.8 20C14.8 20 16 18.4 16 15.8C16 13.2 14.8 11.6 12.8 11.6Z",
  "&": "M14 20L3.6 7C2.6 5.7 2.2 4.8 2.2 3.7C2.2 1.5 3.8 0 6 0C8.1 0 9.5 1.4 9.5 3.4C9.5 5.6 7.9 6.9 5.2 8.5C2 10.4 0 12 0 15C0 18 2.2 20 5.6 20C9.8 20 12.6 16.8 13 11",
  "'": "M0 0L0 5",
  "(": "M4.5 -1C1.6 2.4 0 6.6 0 11C0 15.4 1.6 19.6 4.5 23",
  ")": "M0 -1C2.9 2.4 4.5 6.6 4.5 11C4.5 15.4 2.9 19.6 0 23",
  "*": "M4.4 0L4.4 10M0 2.5L8.8 7.5M8.8 2.5L0 7.5",
  "+": "M6 5.5L6 17.5M0 11.5L12 11.5",
  ",": "M1.5 18.8L1.5 20L0 23.5",
  "-": "M0 12.5L7 12.5",
  ".": "M0 19.4L0 20",
  "/": "M0 23L9 -1",
  ":": "M0 7.4L0 8M0 19.4L0 20",
  ";": "M1.5 7.4L1.5 8M1.5 18.8L1.5 20L0 23.5",
  "<": "M11 5L0 11.5L11 18",
  "=": "M0 8.5L12 8.5M0 14.5L12 14.5",
  ">": "M0 5L11 11.5L0 18",
  "?": "M0 4.2C0.7 1.5 2.6 0 5.2 0C8.3 0 10.2 1.8 10.2 4.6C10.2 7 9 8.4 7.3 9.8C5.6 11.2 5 12.2 5 14.2M5 19.4L5 20",
  "@": "M13 7L13 13C13 15.2 14 16.2 15.4 16.2C17.6 16.2 19 13.8 19 10.4C19 4.6 15.3 1 9.8 1C4 1 0 5.2 0 11.4C0 17.8 4 22 10 22C12.2 22 14.2 21.5 15.8 20.5M13 11.2C13 8.4 11.6 6.8 9.4 6.8C6.8 6.8 5 8.8 5 11.8C5 14.6 6.6 16.4 9 16.4C11.4 16.4 13 14.4 13 11.2",
  "[": "M5 -1L0 -1L0 23L5 23",
  "\\": "M0 -1L9 23",
  "]": "M0 -1L5 -1L5 23L0 23",
  "^": "M0 7L5 0L10 7",
  _: "M0 22L11 22",
  "`": "M0 0L3 4",
  "{": "M6 -1C3.6 -1 2.6 0.2 2.6 2.6L2.6 7.6C2.6 9.8 1.8 11 0 11C1.8 11 2.6 12.2 2.6 14.4L2.6 19.4C2.6 21.8 3.6 23 6 23",
  "|": "M0 -1L0 23",
  "}": "M0 -1C2.4 -1 3.4 0.2 3.4 2.6L3.4 7.6C3.4 9.8 4.2 11 6 11C4.2 11 3.4 12.2 3.4 14.4L3.4 19.4C3.4 21.8 2.4 23 0 23",
  "~": "M0 13C0.8 10.8 2 10 3.4 10C5.2 10 6.8 13 8.8 13C10.4 13 11.4 12 12 10",
};
/** For other characters: an empty frame, as wide as a letter, or as one of Chinese, Japanese or Korean. */
const UNKNOWN_PATH = "M0 2L10 2L10 20L0 20Z";
const WIDE_PATH = "M0 2L20 2L20 20L0 20Z";
const WIDE = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}]/u;

const CAPITAL = 20;
const SPACE_WIDTH = 2.5;
const GAP = 6;
const POINT = /(-?[\d.]+) (-?[\d.]+)/g;

interface Glyph {
  readonly path: string;
  readonly width: number;
}

const GLYPHS = new Map(Object.entries(PATHS).map(([letter, path]) => [letter, glyph(path)]));
const UNKNOWN = glyph(UNKNOWN_PATH);
const UNKNOWN_WIDE = glyph(WIDE_PATH);
/** Characters with a shape; control characters and the like have none in any font. */
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u;

/** Strokes of this share of a capital's height look right. */
export const STROKE = 0.13;
/** From one baseline to the next, in capitals' heights. */
export const LINE_HEIGHT = 1.9;

/** Width of a line of text whose capitals are `size` high, in the unit of `size`. */
export function textWidth(text: string, size: number): number {
  const width = glyphsOf(text).reduce((sum, { width }) => sum + width + GAP, 0);
  return (Math.max(0, width - GAP) / CAPITAL) * size;
}

/** A line of text as the data of an SVG path to be stroked, its left end at x, its baseline at y. */
export function textPath(text: string, x: number, y: number, size: number): string {
  const scale = size / CAPITAL;
  let pen = 0;
  const placed = glyphsOf(text).map(({ path, width }) => {
    const left = pen;
    pen += width + GAP;
    return path.replace(POINT, (_, across: string, down: string) =>
      point(x + (left + Number(across)) * scale, y + (Number(down) - CAPITAL) * scale),
    );
  });
  return placed.join("");
}

/** Breaks a text into lines no wider than `width`: between words, and within one that is wider by itself. */
export function wrapText(text: string, size: number, width: number): string[] {
  const fits = (line: string) => textWidth(line, size) <= width;
  return text.split(/\r?\n/).flatMap((paragraph) => {
    const lines: string[] = [];
    let line = "";
    for (const word of paragraph.split(" ").filter(Boolean)) {
      const pieces = fits(word) ? [word] : [...word];
      for (const [i, piece] of pieces.entries()) {
        const longer = i === 0 && line ? `${line} ${piece}` : line + piece;
        if (line && !fits(longer)) {
          lines.push(line);
          line = piece;
        } else line = longer;
      }
    }
    return line ? [...lines, line] : lines;
  });
}

/** A point of an SVG path, to a hundredth of a pixel. */
export function point(x: number, y: number): string {
  return `${Number(x.toFixed(2))} ${Number(y.toFixed(2))}`;
}

function glyph(path: string): Glyph {
  const across = [...path.matchAll(POINT)].map(([, x]) => Number(x));
  return { path, width: path ? Math.max(...across) : SPACE_WIDTH };
}

/** Whether a text needs a font of the viewer: it has letters that these strokes have not. */
export function needsFont(text: string): boolean {
  return lettersOf(text).some((letter) => !GLYPHS.has(letter) && VISIBLE.test(letter));
}

function glyphsOf(text: string): Glyph[] {
  return lettersOf(text).map((letter) => GLYPHS.get(letter) ?? (WIDE.test(letter) ? UNKNOWN_WIDE : UNKNOWN));
}

/** Accents have no glyphs: é is drawn as e. Korean syllables stay whole. */
function lettersOf(text: string): string[] {
  const bare = text.normalize("NFD").replace(/\p{Mn}/gu, "");
  return [...bare.normalize("NFC")];
}
