import { mean } from "./mean.ts";

export interface VqaCase {
  readonly prediction: string;
  /** The answers of people, usually ten. */
  readonly answers: readonly string[];
}

/** Contractions as they should be written. */
const CONTRACTIONS = (
  "ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't " +
  "haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've " +
  "might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've " +
  "shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll " +
  "someone's something'd something'd've something'll that's there'd there'd've there're there's they'd " +
  "they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've " +
  "when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't " +
  "would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've"
).split(" ");

/** Each with one of its apostrophes missing, and a slip of the reference implementation. */
const REPAIRED: ReadonlyMap<string, string> = new Map([
  ...CONTRACTIONS.flatMap((form) =>
    [...form.matchAll(/'/g)].map(
      ({ index }) => [form.slice(0, index) + form.slice(index + 1), form] as const,
    ),
  ),
  ["somebody'd", "somebodyd"],
]);

const NUMBERS = new Map(
  "zero one two three four five six seven eight nine ten".split(" ").map((word, i) => [word, String(i)]),
).set("none", "0");
const ARTICLES = new Set(["a", "an", "the"]);
const PUNCTUATION = [...';/[]"{}()=+\\_-><@`,?!'];
/** Full stops that go, but not before a digit; the reference passes a flag as the count, hence no more than these. */
const MOST_STOPS = 32;

/**
 * Accuracy of visual question answering (Antol et al., 2015), 0 to 1, as VQA/vqaEvaluation/vqaEval.py
 * computes it: for each person's answer, a third for every other person who agrees with the prediction, at
 * most 1; the mean of that. Spelling is evened out only where people disagree, as there.
 *
 * @returns the mean, rounded to four digits as there (two of a percentage), and the accuracy of each case
 */
export function vqaAccuracy(cases: readonly VqaCase[]): { accuracy: number; perCase: number[] } {
  const perCase = cases.map(accuracyOf);
  return { accuracy: Math.round(mean(perCase) * 1e4) / 1e4, perCase };
}

function accuracyOf({ prediction, answers }: VqaCase): number {
  const trimmed = answers.map(plain);
  const normalize = new Set(trimmed).size > 1 ? evenOut : (text: string) => text;
  const asked = normalize(plain(prediction));
  const agrees = trimmed.map((answer) => normalize(answer) === asked);
  const agreeing = agrees.filter(Boolean).length;
  return mean(agrees.map((own) => Math.min(1, (agreeing - Number(own)) / 3)));
}

const plain = (text: string) => text.replaceAll(/[\n\t]/g, " ").trim();

/** Without punctuation, capitals and articles; numbers up to ten as digits; contractions with apostrophes. */
function evenOut(text: string): string {
  return stripPunctuation(text)
    .toLowerCase()
    .split(/\s+/)
    .map((word) => NUMBERS.get(word) ?? word)
    .filter((word) => word !== "" && !ARTICLES.has(word))
    .map((word) => REPAIRED.get(word) ?? word)
    .join(" ");
}

function stripPunctuation(text: string): string {
  const hasNumberWithComma = /\d,\d/.test(text);
  let result = text;
  for (const mark of PUNCTUATION) {
    const standsAtSpace = text.includes(`${mark} `) || text.includes(` ${mark}`);
    result = result.replaceAll(mark, standsAtSpace || hasNumberWithComma ? "" : " ");
  }
  let stops = 0;
  return result.replaceAll(/\.(?!\d)/g, (stop) => (stops++ < MOST_STOPS ? "" : stop));
}
