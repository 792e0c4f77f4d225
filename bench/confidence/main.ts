/** `npm run bench:confidence`: how well confidences are calibrated, and their cost. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { BUNDLED_DATA, BUNDLED_MODEL } from "../../commands/bundled.ts";
import { fail } from "../../commands/terminal.ts";
import { openRunner } from "../../core/device.ts";
import { Florence2Error } from "../../core/errors.ts";
import { openDataSet } from "../../datasets/truth/data_set.ts";
import { ProgressBar } from "../../eval/progress.ts";
import { folderSubject, generatedSubject } from "../../measure/subjects.ts";
import { type Column, figure, milliseconds, tableHead, tableRow, text } from "../../measure/table.ts";
import { Florence2 } from "../../model/florence2.ts";
import { integer } from "../../model/generation/options.ts";
import { LABEL_WEIGHT } from "../../model/tasks/index.ts";
import { checkDtype } from "../../model/weights/loader.ts";
import { type CalibrationRow, calibrate, chosenRow, LABEL_TASKS, QUAD_TASK } from "./calibration.ts";
import { type CostRow, costOfConfidence } from "./cost.ts";

const HELP = `npm run bench:confidence -- [calibration] [cost] [options]

calibration asks the bundled checkpoint about its held-out images, and prints the expected calibration error for
several exponents of a label's probability: the best on every other image is chosen, the rest of the images check it.
cost times decoding steps with and without the sums that confidences are made of, side by side. Both unless one is named.

  --size base|large   the model that cost times, with generated weights (default: the bundled one)
  --dtype TYPE        of its weights (default: auto)
  --device gpu|cpu    (default: cpu)
  --threads N         of the CPU engine
  --pairs N           submissions of eight steps that cost times, with and without each (default: 30)
  --output DIR        for the answers of calibration (default: out/calibration)
  --help
`;

const PARTS = ["calibration", "cost"];

const weightOf = (weight: number) => weight.toFixed(2);
const error = (value: number) => value.toFixed(3);
const CALIBRATION_COLUMNS: readonly Column<CalibrationRow>[] = [
  text("exponent", 8, ({ weight }) => weightOf(weight)),
  figure("chosen by", ({ chosenBy }) => error(chosenBy)),
  figure("checked on", ({ checkedOn }) => error(checkedOn)),
  ...[...LABEL_TASKS, QUAD_TASK].map((task) =>
    figure<CalibrationRow>(task, ({ tasks }) => error(tasks[task]!)),
  ),
];
const COST_COLUMNS: readonly Column<CostRow>[] = [
  text("search", 8, ({ search }) => search),
  figure("ms a step", ({ withMs }) => milliseconds(withMs)),
  figure("without", ({ withoutMs }) => milliseconds(withoutMs)),
  figure("cost", ({ cost }) => `${(100 * cost).toFixed(2)} %`),
  figure("locations", ({ locations }) => `${Math.round(100 * locations)} %`),
  figure("pairs", ({ pairs }) => String(pairs)),
];

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      size: { type: "string" },
      dtype: { type: "string", default: "auto" },
      device: { type: "string", default: "cpu" },
      threads: { type: "string" },
      pairs: { type: "string", default: "30" },
      output: { type: "string", default: join("out", "calibration") },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const unknown = positionals.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw invalid("part", unknown, PARTS.join(", "));
  const { size, device, dtype } = values;
  if (size !== undefined && size !== "base" && size !== "large")
    throw invalid("--size", size, "base or large");
  if (device !== "gpu" && device !== "cpu") throw invalid("--device", device, "gpu or cpu");
  checkDtype(dtype);
  const threads =
    values.threads === undefined ? undefined : integer("--threads", Number(values.threads), 1, 16);
  const parts = positionals.length > 0 ? positionals : PARTS;
  if (parts.includes("calibration")) await printCalibration(values.output, device);
  if (parts.includes("cost")) {
    const pairs = integer("--pairs", Number(values.pairs), 1, 10_000);
    const subject = size ? generatedSubject(size) : folderSubject();
    const runner = await openRunner(device, { threads });
    try {
      say(`\n${subject.name} on ${runner.name}\n\n${tableHead(COST_COLUMNS)}`);
      for await (const row of costOfConfidence(subject, runner, { dtype, pairs }))
        say(tableRow(COST_COLUMNS, row));
    } finally {
      runner.dispose();
    }
  }
}

async function printCalibration(folder: string, device: "gpu" | "cpu"): Promise<void> {
  const dataSet = await openDataSet(BUNDLED_DATA);
  const model = await Florence2.fromPretrained(BUNDLED_MODEL, { device });
  try {
    const bar = new ProgressBar();
    const rows = await calibrate(model, dataSet, {
      folder,
      origin: { data: dataSet.name, device: model.device.name },
      batch: 8,
      onProgress: (done, total) => bar.show(done, total),
    });
    say(`Expected calibration errors; tasks on the images that check\n\n${tableHead(CALIBRATION_COLUMNS)}`);
    for (const row of rows) say(tableRow(CALIBRATION_COLUMNS, row));
    const best = chosenRow(rows);
    say(`\nBest where it is chosen: ${weightOf(best.weight)}; the library has ${weightOf(LABEL_WEIGHT)}`);
  } finally {
    model.dispose();
  }
}

const say = (line: string) => process.stdout.write(`${line}\n`);

function invalid(option: string, found: string, expected: string): Florence2Error {
  return new Florence2Error("option_invalid", `${option} is ${found}, expected ${expected}`, {
    [option]: found,
  });
}

process.exitCode = await main(process.argv.slice(2)).then(() => 0, fail);
