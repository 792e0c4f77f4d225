import { resolve } from "node:path";
import { openRunner } from "../../core/device.ts";
import { Florence2Error } from "../../core/errors.ts";
import { originOf } from "../../measure/origin.ts";
import { version } from "../bundled.ts";
import { oneOf, readArguments } from "../options.ts";
import { beQuiet, note } from "../terminal.ts";
import { type Report, withDecisions, writeReport } from "./document.ts";
import type { Part, PartResult } from "./part.ts";
import { PARTS } from "./parts.ts";
import { emptyResult, runPart } from "./run_part.ts";

const HELP = `florence2 report [options]

Says in one folder whether everything is right on this device, and how fast: the device; every kernel in every variant
beside its twin; the bundled model's answers; models with generated weights beside transformers, stage by stage;
what copying and multiplying reach; the phases of an answer; every variant at the shapes of the released models; and
which variants should be taken. report.md is for people, report.json for programs. Attach the folder to an issue if
something is wrong on your device.

What matters most comes first. Each part has a process and a time of its own and is written as soon as it is done:
what fails or hangs is recorded, and the rest goes on. Ends with 1 if a part failed.

  --out FOLDER     where the report goes (default: florence2-report)
  --minutes N      how long all of it may take (default: 8)
  --device NAME    gpu or cpu (default: gpu)
  --only PARTS     only these, with commas between them: ${Object.keys(PARTS).join(", ")}
  --quiet
  --help
`;

/** The command `florence2 report`; resolves to its exit code. */
export async function report(args: string[]): Promise<number> {
  const { values, positionals } = readArguments(args, {
    out: { type: "string", default: "florence2-report" },
    minutes: { type: "string", default: "8" },
    device: { type: "string", default: "gpu" },
    only: { type: "string" },
    quiet: { type: "boolean", short: "q", default: false },
    help: { type: "boolean", short: "h", default: false },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (positionals.length > 0) {
    const message = `florence2 report takes options only, not ${positionals.join(", ")}.`;
    throw new Florence2Error("option_invalid", message, { positionals });
  }
  beQuiet(values.quiet);
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && minutes <= 24 * 60)) {
    const message = `--minutes is ${values.minutes}, expected a number above 0 and up to ${24 * 60}`;
    throw new Florence2Error("option_invalid", message, { minutes: values.minutes });
  }
  const device = oneOf("device", values.device, ["gpu", "cpu"]);
  const wanted = values.only?.split(",").map((name) => oneOf("only", name.trim(), Object.keys(PARTS)));
  const parts = Object.entries(PARTS).filter(([name]) => wanted?.includes(name) ?? true);
  const folder = resolve(values.out);
  const { results } = await writeParts(folder, Object.fromEntries(parts), { device, minutes });
  process.stdout.write(`${folder}\n`);
  return results.some(({ outcome, failures }) => outcome === "failed" || failures.length > 0) ? 1 : 0;
}

/** Runs parts one after the other, and writes the report after each. */
async function writeParts(
  folder: string,
  parts: Readonly<Record<string, Part>>,
  { device, minutes }: Pick<Report, "device" | "minutes">,
): Promise<Report> {
  const end = performance.now() + 60_000 * minutes;
  const names = Object.keys(parts);
  const results: PartResult[] = names.map((part) => emptyResult({ part, title: parts[part]!.title }));
  const origin = originOf(await adapterName(device));
  const current = () => withDecisions({ version: version(), origin, device, minutes, results });
  for (const [i, name] of names.entries()) {
    const { title, weight } = parts[name]!;
    const weights = names.slice(i).reduce((sum, other) => sum + parts[other]!.weight, 0);
    const secondsLeft = (end - performance.now()) / 1000;
    note(`${title} (part ${i + 1} of ${names.length}, ${(secondsLeft / 60).toFixed(1)} minutes left)`);
    results[i] = await runPart({
      part: name,
      module: new URL(import.meta.url.replace(/report(\.[jt]s)$/, `parts/${name}$1`)).href,
      title,
      device,
      seconds: Math.max((secondsLeft * weight) / weights, 1),
    });
    note(
      `  ${results[i].outcome} after ${results[i].seconds.toFixed(1)} s, failures: ${results[i].failures.length}`,
    );
    writeReport(folder, current(), parts);
  }
  return current();
}

/** The adapter's name, or why there is none: a report without one says so, part by part. */
async function adapterName(device: "gpu" | "cpu"): Promise<string> {
  try {
    const runner = await openRunner(device);
    runner.dispose();
    return runner.name;
  } catch (error) {
    if (!(error instanceof Florence2Error)) throw error;
    return `no device: ${error.message}`;
  }
}
