/** `npm run bench:peers`: this library beside other ways of running the same weights, in one run. */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { BUNDLED_IMAGE } from "../../commands/bundled.ts";
import { fail } from "../../commands/terminal.ts";
import { openRunner } from "../../core/device.ts";
import { Florence2Error } from "../../core/errors.ts";
import { productSpeed } from "../../measure/cpu_profile.ts";
import { folderSubject, generatedSubject, type Subject } from "../../measure/subjects.ts";
import { FIRST_STEPS } from "../../model/decoding_session.ts";
import { integer } from "../../model/generation/options.ts";
import { preprocessImage } from "../../model/image/preprocess.ts";
import { resolveTask } from "../../model/tasks/index.ts";
import { checkDtype } from "../../model/weights/loader.ts";
import { writeReport } from "../report.ts";
import { compete } from "./compete.ts";
import { CONTESTANTS, type ContestantName, type PeersDevice, type Question } from "./contestant.ts";
import { timeFirstAnswers } from "./first_answer.ts";
import { ensureGraphs } from "./graphs.ts";
import { PACKAGES } from "./onnxruntime.ts";
import { type PeersReport, peersSection } from "./report.ts";

const HELP = `npm run bench:peers -- [options]

Times a greedy caption by this library and by its peers: the same image, the same weights, the same tokens, each in a
process of its own, in turn. Times are compared only if all give the same tokens, or as many where weights are not in
f32. Results go to the results folder as JSON, by adapter.

With --device gpu: this library on the GPU, ONNX Runtime's WebGPU provider driven as transformers.js drives it, ONNX
Runtime on the CPU, and transformers in PyTorch: on the CPU, and where there is CUDA on that, eager and compiled, in
half precision. With --device cpu: the CPU engine in f32, f16 and q8, this library on software Vulkan before it had
that engine (built from git's history), ONNX Runtime on the CPU and in WebAssembly, transformers.js and PyTorch. Then
the first answer of the bundled model in a fresh process, the speed of matrix products beside multiply-adds, and
whether the bars of the CPU engine are reached.

The ONNX graphs are written by transformers in Python (tests/reference/run), once; the peers' packages are installed
into .cache/peers, once.

  --device gpu|cpu    (default: a GPU where there is one, else the CPU engine)
  --model DIR         a checkpoint folder (default: the bundled one)
  --size base|large   a model of this size instead, with generated weights
  --dtype TYPE        format of the weights in this library on a GPU (default: f32, as the peers)
  --threads N         of everyone on the CPU (default: as many as there are processors)
  --tokens N          of the caption (default: 20)
  --rounds N          timed captions of each (default: 5)
  --only NAMES        this library and these alone, with semicolons between them: PyTorch, CPU; ONNX Runtime, CPU
  --results DIR       (default: bench/results)
  --help

FLORENCE2_REFERENCE_PYTHON names a Python that has the packages of tests/reference/requirements.txt.
`;

async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      device: { type: "string" },
      model: { type: "string" },
      size: { type: "string" },
      dtype: { type: "string", default: "f32" },
      threads: { type: "string", default: String(availableParallelism()) },
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
  const threads = integer("--threads", Number(values.threads), 1, 16);
  const subject = size ? generatedSubject(size) : folderSubject(values.model);
  const device = deviceOf(values.device) ?? (await deviceHere());
  const names = contestantsOf(device, values.only);
  const needsGraphs = names.some((name) => name.startsWith("ONNX") || name.startsWith("transformers.js"));
  const asked = await questionOf(subject, size ?? subject.folder!, needsGraphs);
  const question = { ...asked, tokens, dtype, threads };
  const alone = device === "cpu" ? await measureAlone(subject, rounds, threads) : {};
  let report: PeersReport | undefined;
  for await (const sofar of compete(subject.name, question, rounds, names, say)) {
    report = { ...sofar, ...alone };
    writeReport(values.results, report);
  }
  say(`\n${peersSection(report!)}\n\nWritten to ${writeReport(values.results, report!)}`);
}

/** What is told of the CPU engine without its peers. */
async function measureAlone(subject: Subject, rounds: number, threads: number) {
  say("the first answer in a fresh process");
  const firstAnswers = await timeFirstAnswers(rounds, threads);
  say("matrix products beside multiply-adds");
  return { dtype: "f32", firstAnswers, products: await productSpeed(subject, threads) } as const;
}

function deviceOf(device: string | undefined): PeersDevice | undefined {
  if (device === undefined || device === "gpu" || device === "cpu") return device;
  throw new Florence2Error("option_invalid", `--device is ${device}, expected gpu or cpu`, { device });
}

/** The device that this library chooses on this machine. */
async function deviceHere(): Promise<PeersDevice> {
  const runner = await openRunner();
  runner.dispose();
  return runner.kind === "cpu" ? "cpu" : "gpu";
}

/** This library first, since the others are compared with it. */
function contestantsOf(device: PeersDevice, only: string | undefined): readonly ContestantName[] {
  const known: readonly ContestantName[] = CONTESTANTS[device];
  if (only === undefined) return known;
  const wanted = only.split(";").map((name) => name.trim());
  const unknown = wanted.find((name) => !(known as readonly string[]).includes(name));
  if (unknown !== undefined) {
    const message = `--only has ${unknown}, expected some of ${known.join("; ")}`;
    throw new Florence2Error("option_invalid", message, { only });
  }
  return known.filter((name, i) => i === 0 || wanted.includes(name));
}

async function questionOf(
  subject: Subject,
  source: string,
  needsGraphs: boolean,
): Promise<Omit<Question, "tokens" | "dtype" | "threads">> {
  const { imageConfig, tokenizer, checkpoint } = await subject.open();
  await checkpoint.close();
  const image = new Uint8Array(await readFile(BUNDLED_IMAGE));
  const { pixelValues, ...seen } = await preprocessImage(image, imageConfig);
  const promptIds = tokenizer.encode(resolveTask("<CAPTION>", undefined, seen).prompt);
  const folder = join(PACKAGES, "graphs", subject.name);
  const side = needsGraphs ? imageConfig.width : undefined;
  ensureGraphs(subject.folder ? resolve(source) : source, side, folder);
  return { folder, imageConfig, pixelValues, promptIds };
}

function say(message: string): void {
  process.stdout.write(`${message}\n`);
}

process.exitCode = await main(process.argv.slice(2)).then(() => 0, fail);
