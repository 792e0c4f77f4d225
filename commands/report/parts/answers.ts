import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageFile } from "../../../files/package_files.ts";
import type { EncodedImage } from "../../../model/encoded_image.ts";
import { Florence2 } from "../../../model/florence2.ts";
import { tasks } from "../../../model/tasks/index.ts";
import { BUNDLED_IMAGE, BUNDLED_MODEL } from "../../bundled.ts";
import { groupBy } from "../groups.ts";
import type { Part } from "../part.ts";

/** An answer of the bundled model in transformers. */
interface Recorded {
  readonly file: string;
  readonly task: string;
  readonly text?: string;
  readonly tokens: readonly number[];
  readonly score: number;
  /** By how much the best answer is ahead of the second. */
  readonly margin: number;
}

const RECORDED = packageFile("tests/fixtures/nano/answers.jsonl");
/** Which of two closer beams is kept is up to the rounding of logits. */
const TIE = 5e-5;
/** The longest recorded answer. */
const MAX_NEW_TOKENS = 96;

const part: Part = {
  title: "Answers of the bundled model",
  weight: 12,
  async run({ device, plan, item, add, tell }) {
    const model = await Florence2.fromPretrained(BUNDLED_MODEL, { device });
    if (existsSync(RECORDED)) {
      tell({ expected: "the answers of transformers to held-out images" });
      const answers = recordedAnswers().filter(({ margin }) => margin > TIE);
      plan(answers.map(nameOf));
      for (const [file, ofImage] of groupBy(answers, ({ file }) => file)) {
        let image: EncodedImage | undefined;
        for (const answer of ofImage) {
          const { task, text, tokens, margin } = answer;
          await item(nameOf(answer), async () => {
            image ??= await model.encodeImage(join(BUNDLED_MODEL, "heldout", file));
            const found = await model.run(image, task, { text, maxNewTokens: MAX_NEW_TOKENS });
            add({ file, task, text, margin, firstDifference: firstDifference(found.tokens, tokens) });
          });
        }
      }
    } else {
      tell({ expected: "the answers of the CPU engine to the bundled image" });
      const reference = await Florence2.fromPretrained(BUNDLED_MODEL, { device: "cpu" });
      const questions = tasks.filter(({ input }) => input === "none").map(({ token }) => token);
      plan(questions);
      for (const task of questions) {
        await item(task, async () => {
          const expected = await reference.run(BUNDLED_IMAGE, task, { maxNewTokens: MAX_NEW_TOKENS });
          const found = await model.run(BUNDLED_IMAGE, task, { maxNewTokens: MAX_NEW_TOKENS });
          add({ file: BUNDLED_IMAGE, task, firstDifference: firstDifference(found.tokens, expected.tokens) });
        });
      }
      reference.dispose();
    }
    model.dispose();
  },
  inWords({ facts, rows }) {
    const wrong = rows.filter(({ firstDifference }) => firstDifference !== -1);
    const lines = wrong.map(
      ({ file, task, firstDifference }) => `- ${task} of ${file}: token ${firstDifference} is another`,
    );
    const summary = `${rows.length} answers compared with ${facts.expected}; ${wrong.length} have other tokens.`;
    return [summary, ...(lines.length > 0 ? ["", ...lines] : [])].join("\n");
  },
};
export default part;

const nameOf = ({ file, task, text }: Recorded) => [file, task, ...(text ? [text] : [])].join(" ");

function recordedAnswers(): Recorded[] {
  const [, ...lines] = readFileSync(RECORDED, "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line) as Recorded);
}

/** -1 if all are the same. */
function firstDifference(found: readonly number[], expected: readonly number[]): number {
  const length = Math.max(found.length, expected.length);
  return Array.from({ length }, (_, i) => i).find((i) => found[i] !== expected[i]) ?? -1;
}
