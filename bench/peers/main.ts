/** `npm run bench:peers`: this library beside other ways of running the same weights, in one run. */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { fail } from "../../commands/terminal.ts";
import { Florence2Error } from "../../core/errors.ts";
import { originOf } from "../../measure/origin.ts";
import { folderSubject, generatedSubject, type Subject } from "../../measure/subjects.ts";
import { FIRST_STEPS } from "../../model/decoding_session.ts";
import { integer } from "../../model/generation/options.ts";
import { preprocessImage } from "../../model/image/preprocess.ts";
import { resolveTask } from "../../model/tasks/index.ts";
import { checkDtype } from "../../model/weights/loader.ts";
import { writeReport } from "../report.ts";
import { type Caption, CONTESTANTS, type ContestantName, type Question } from "./contestant.ts";
import { ensureGraphs } from "./graphs.ts";
import { PACKAGES } from "./onnxruntime.ts";
import { ContestantProcess } from "./process.ts";
import { checkTokens, compare, type PeersReport, type PHASES, peersSection, sharedTokens } from "./report.ts";

const HELP = `npm run bench:peers -- [options]

Times a greedy caption by this library, by ONNX Runtime's WebGPU provider driven as transformers.js drives it, by ONNX
Runtime on the CPU, and by transformers in PyTorch: on the CPU, and where there is CUDA on that, eager and compiled, in
half precision. The same picture, the same weights, the same tokens, each in a process of its own, in turn. Times are
compared only if all give the same tokens, or as many in half precision. The ONNX graphs are written by transformers in
Python (tests/reference/run), once; ONNX Runtime is installed into .cache/peers, once. Results go to the results folder
as JSON, by adapter.

  --model DIR         a checkpoint folder (default: the bundled one)
  --size base|large   a model of this size instead, with generated weights
  --dtype TYPE        format of the weights in this library (default: f32, as the peers)
  --tokens N          of the caption (default: 20)
  --rounds N          timed captions of each (default: 5)
  --only NAMES        this library and these alone, with semicolons between them: PyTorch, CUDA, eager
  --results DIR       (default: bench/results)
  --help

FLORENCE2_REFERENCE_PYTHON names a Python that has the packages of tests/reference/requirements.txt.
`;

const PICTURE = "examples/scene.png";

async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: "string" },
      size: { type: "string" },
      dtype: { type: "string", default: "f32" },
      tokens: { type: "string", default: "20" },
      rounds: { type: "string", default: "5" },
      only: { type: "string" },
      results: { type: "string", default: "bench/results" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const { size, dtype } = values;
  checkDtype(dtype);
  if (size !== undefined && size !== "base" && size !== "large")
    throw new Florence2Error("option_invalid", `--size is ${size}, expected base or large`, { size });
  const tokens = integer("--tokens", Number(values.tokens), FIRST_STEPS + 1, 512);
  const rounds = integer("--rounds", Number(values.rounds), 1, 1000);
  const subject = size ? generatedSubject(size) : folderSubject(values.model);
  const names = contestantsOf(values.only);
  const needsGraphs = names.some((name) => name.startsWith("ONNX"));
  const asked = await questionOf(subject, size ?? subject.folder!, needsGraphs);
  const report = await compete(subject.name, { ...asked, tokens, dtype }, rounds, names);
  say(`\n${peersSection(report)}\n\nWritten to ${writeReport(values.results, report)}`);
}

/** This library first, since the others are compared with it. */
function contestantsOf(only: string | undefined): readonly ContestantName[] {
  if (only === undefined) return CONTESTANTS;
  const wanted = only.split(";").map((name) => name.trim());
  const unknown = wanted.find((name) => !(CONTESTANTS as readonly string[]).includes(name));
  if (unknown !== undefined) {
    const message = `--only has ${unknown}, expected some of ${CONTESTANTS.join("; ")}`;
    throw new Florence2Error("option_invalid", message, { only });
  }
  return CONTESTANTS.filter((name, i) => i === 0 || wanted.includes(name));
}

async function questionOf(
  subject: Subject,
  source: string,
  needsGraphs: boolean,
): Promise<Omit<Question, "tokens" | "dtype">> {
  const { imageConfig, tokenizer, checkpoint } = await subject.open();
  await checkpoint.close();
  const picture = new Uint8Array(await readFile(PICTURE));
  const { pixelValues, ...seen } = await preprocessImage(picture, imageConfig);
  const promptIds = tokenizer.encode(resolveTask("<CAPTION>", undefined, seen).prompt);
  const folder = join(PACKAGES, "graphs", subject.name);
  const side = needsGraphs ? imageConfig.width : undefined;
  ensureGraphs(subject.folder ? resolve(source) : source, side, folder);
  return { folder, imageConfig, pixelValues, promptIds };
}

/** Opens everyone, has each caption once untimed, and then in rounds, one after the other. */
async function compete(
  model: string,
  question: Question,
  rounds: number,
  names: readonly ContestantName[],
): Promise<PeersReport> {
  const entrants: { contestant: ContestantProcess; first: Caption; captions: Caption[] }[] = [];
  const absent: { name: string; reason: string }[] = [];
  try {
    for (const name of names) {
      say(`${name}: loads, compiles, and captions for the first time`);
      let contestant: ContestantProcess | undefined;
      try {
        contestant = await ContestantProcess.open(name, question);
        entrants.push({ contestant, first: await contestant.caption(), captions: [] });
      } catch (error) {
        contestant?.end();
        if (name === CONTESTANTS[0]) throw error;
        say((error as Error).message);
        absent.push({ name, reason: (error as Error).message.replace(`${name}: `, "") });
      }
    }
    const ours = entrants[0]!.first.tokens;
    for (const { contestant, first } of entrants) checkTokens(contestant, first.tokens, ours);
    const origin = originOf(entrants[0]!.contestant.version);
    for (let round = 1; round <= rounds; round++) {
      for (const { contestant, captions } of entrants) {
        const caption = await contestant.caption();
        captions.push(caption);
        say(
          `round ${round} of ${rounds}: ${contestant.name}, ${caption.times["whole caption"].toFixed(0)} ms`,
        );
      }
    }
    const outcomes = entrants.map(({ contestant: { name, version, peakBytes, loadMs }, first, captions }) => {
      const sameTokens = sharedTokens(first.tokens, ours);
      const timesOf = (phase: (typeof PHASES)[number]) => {
        if (phase === "load") return [loadMs];
        if (phase === "first caption") return [first.times["whole caption"]];
        return captions.map(({ times }) => times[phase]);
      };
      return { name, version, peakBytes, sameTokens, timesOf };
    });
    const { tokens, dtype } = question;
    const asked = { model, tokens, dtype, firstTokens: FIRST_STEPS, rounds };
    return { part: "peers", origin, ...asked, absent, ...compare(outcomes) };
  } finally {
    for (const { contestant } of entrants) contestant.end();
  }
}

function say(message: string): void {
  process.stdout.write(`${message}\n`);
}

process.exitCode = await main(process.argv.slice(2)).then(() => 0, fail);
