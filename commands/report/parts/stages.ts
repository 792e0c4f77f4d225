import { openRunner } from "../../../core/device.ts";
import { compareStages, type FixtureName, hasFixtures } from "../../../measure/stages.ts";
import { figure, text } from "../../../measure/table.ts";
import type { Part } from "../part.ts";
import { scientific, table } from "../words.ts";

interface Stage {
  readonly stage: string;
  readonly error: number;
}

const COLUMNS = [
  text<Stage>("stage", 34, ({ stage }) => stage),
  figure<Stage>("error", ({ error }) => scientific(error)),
];

/** The bar of every stage: single precision, summed in another order. */
const TOLERANCE = 2e-5;

/** A model with generated weights, in f32, beside what transformers computed with the same. */
export const stagesPart = (name: FixtureName, weight: number): Part => ({
  title: `Stages of ${name} beside transformers`,
  weight,
  async run({ device, add, absent }) {
    if (!hasFixtures()) return absent("the fixtures are not in the package, only in a checkout");
    const runner = await openRunner(device);
    try {
      const onStage = (stage: object) => add({ ...stage });
      await compareStages(name, runner, onStage, onStage);
    } finally {
      runner.dispose();
    }
  },
  inWords({ rows }) {
    const stages = rows.filter(({ stage }) => stage !== undefined) as unknown as readonly Stage[];
    const first = stages.find(({ error }) => !(error <= TOLERANCE));
    const worst = stages.reduce((a, b) => (b.error > a.error ? b : a), { stage: "none", error: 0 });
    const summary = first
      ? `**${first.stage} is the first stage that differs**: ${scientific(first.error)}, at most ${scientific(TOLERANCE)} is allowed.`
      : `${stages.length} stages agree; the largest relative error is ${scientific(worst.error)}, at ${worst.stage}.`;
    const answers = rows
      .filter(({ search }) => search !== undefined)
      .map(({ run, search, firstDifference }) => {
        const outcome = firstDifference === -1 ? "the same tokens" : `token ${firstDifference} is another`;
        return `- ${run}, ${search}: ${outcome}`;
      });
    return [summary, ...(answers.length > 0 ? ["", ...answers] : []), "", table(COLUMNS, stages)].join("\n");
  },
});
