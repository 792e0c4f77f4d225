/** `npm run bench:folders`: a command over a folder beside `runBatch` on decoded images, and its memory. */
import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { BUNDLED_MODEL } from "../commands/bundled.ts";
import type { FolderModel } from "../commands/folders/run_folder.ts";
import { label } from "../commands/label/label.ts";
import { fail } from "../commands/terminal.ts";
import { Florence2Error } from "../core/errors.ts";
import { packageFile } from "../files/package_files.ts";
import { type Column, figure, mebibytes, tableHead, tableRow, text, threeDigits } from "../measure/table.ts";
import { median } from "../measure/timing.ts";
import { Florence2 } from "../model/florence2.ts";
import { integer } from "../model/generation/options.ts";
import { loadImage } from "../model/image/load.ts";

const HELP = `npm run bench:folders -- [options]

speed: florence2 label --task od over files beside runBatch on the same images, decoded beforehand, in turn.
memory: one florence2 label over many files, and what the process holds after each tenth.
Files are links to the held-out images of the bundled checkpoint, which answers.

  --part NAME         speed or memory (default: both)
  --files N           of a speed run (default: 200)
  --rounds N          of speed (default: 5)
  --images N          of memory (default: 10000)
  --device gpu|cpu    (default: cpu)
  --threads N         of the CPU engine
  --help
`;

type BenchedModel = Pick<FolderModel, "encodeImage" | "runBatch" | "device">;

const HELD_OUT = packageFile("checkpoints/nano/heldout");
const TASK = "<OD>";

interface SpeedRow {
  readonly way: string;
  /** Images a second, the median of the rounds. */
  readonly rate: number;
  /** Median of the rounds' ratios to `runBatch`. */
  readonly share: number;
}
const SPEED_COLUMNS: readonly Column<SpeedRow>[] = [
  text("way", 30, ({ way }) => way),
  figure("images/s", ({ rate }) => threeDigits(rate)),
  figure("share", ({ share }) => `${(100 * share).toFixed(1)} %`),
];

interface MemoryRow {
  readonly images: number;
  readonly resident: number;
  readonly heap: number;
}
const MEMORY_COLUMNS: readonly Column<MemoryRow>[] = [
  figure("images", ({ images }) => String(images)),
  figure("process MiB", ({ resident }) => mebibytes(resident)),
  figure("heap MiB", ({ heap }) => mebibytes(heap)),
];

async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      part: { type: "string" },
      files: { type: "string", default: "200" },
      rounds: { type: "string", default: "5" },
      images: { type: "string", default: "10000" },
      device: { type: "string", default: "cpu" },
      threads: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const { part, device } = values;
  if (part !== undefined && part !== "speed" && part !== "memory")
    throw invalid("--part", part, "speed or memory");
  if (device !== "gpu" && device !== "cpu") throw invalid("--device", device, "gpu or cpu");
  const count = (name: "files" | "rounds" | "images") =>
    integer(`--${name}`, Number(values[name]), 1, 10 ** 7);
  const threads =
    values.threads === undefined ? undefined : integer("--threads", Number(values.threads), 1, 16);
  const model = await Florence2.fromPretrained(BUNDLED_MODEL, { device, threads });
  mkdirSync("out", { recursive: true });
  const folder = mkdtempSync(join("out", "folders-"));
  try {
    say(`nano on ${model.device.name}`);
    if (part !== "memory") await printSpeed(model, folder, count("files"), count("rounds"));
    if (part !== "speed") await printMemory(model, folder, count("images"));
  } finally {
    rmSync(folder, { recursive: true });
    await model.dispose();
  }
}

async function printSpeed(model: Florence2, folder: string, files: number, rounds: number): Promise<void> {
  const images = linkImages(join(folder, "images"), files);
  const decoded = await Promise.all(images.map((image) => loadImage(image)));
  const items = decoded.map((image) => ({ image: { ...image, channels: 3 as const }, task: TASK }));
  const batch = () => model.runBatch(items);
  const command = (round: number) => labelAll(model, join(folder, "images"), join(folder, `labels ${round}`));
  await batch();
  const times: [batch: number, command: number][] = [];
  for (let round = 0; round < rounds; round++) {
    const batchFirst = round % 2 === 0;
    const early = batchFirst ? await secondsOf(batch) : 0;
    const own = await secondsOf(() => command(round));
    times.push([batchFirst ? early : await secondsOf(batch), own]);
  }
  say(`\n${files} files, ${rounds} rounds\n\n${tableHead(SPEED_COLUMNS)}`);
  const rateOf = (seconds: readonly number[]) => files / median(seconds);
  const rows: SpeedRow[] = [
    { way: "runBatch on decoded images", rate: rateOf(times.map(([own]) => own)), share: 1 },
    {
      way: "florence2 label on files",
      rate: rateOf(times.map(([, own]) => own)),
      share: median(times.map(([other, own]) => other / own)),
    },
  ];
  for (const row of rows) say(tableRow(SPEED_COLUMNS, row));
}

async function printMemory(model: Florence2, folder: string, images: number): Promise<void> {
  linkImages(join(folder, "many"), images);
  say(`\n${tableHead(MEMORY_COLUMNS)}`);
  const tenth = Math.ceil(images / 10);
  let seen = 0;
  const counting: BenchedModel = {
    device: model.device,
    runBatch: model.runBatch.bind(model),
    encodeImage(image, options) {
      if (++seen % tenth === 0) {
        const { rss: resident, heapUsed: heap } = process.memoryUsage();
        say(tableRow(MEMORY_COLUMNS, { images: seen, resident, heap }));
      }
      return model.encodeImage(image, options);
    },
  };
  const seconds = await secondsOf(() => labelAll(counting, join(folder, "many"), join(folder, "labels")));
  say(`\n${images} images in ${seconds.toFixed(0)} s; ${(images / seconds).toFixed(1)} a second`);
}

/** As `florence2 label` does it, from the list of files to the data set, with a model that is loaded already. */
async function labelAll(model: BenchedModel, images: string, out: string): Promise<void> {
  const open = async (): Promise<FolderModel> => ({
    device: model.device,
    encodeImage: model.encodeImage.bind(model),
    runBatch: model.runBatch.bind(model),
    dispose: async () => {},
  });
  const code = await label([images, "--task", "od", "--out", out, "--quiet"], open);
  if (code !== 0) throw new Error(`florence2 label ended with ${code}`);
}

/** Links to the held-out images, again and again until there are enough. */
function linkImages(folder: string, count: number): string[] {
  mkdirSync(folder);
  const names = readdirSync(HELD_OUT)
    .filter((name) => name.endsWith(".jpg"))
    .sort();
  return Array.from({ length: count }, (_, i) => {
    const path = join(folder, `${String(i).padStart(7, "0")}.jpg`);
    linkSync(join(HELD_OUT, names[i % names.length]!), path);
    return path;
  });
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

const say = (line: string) => process.stdout.write(`${line}\n`);

function invalid(option: string, found: string, expected: string): Florence2Error {
  return new Florence2Error("option_invalid", `${option} is ${found}, expected ${expected}`, {
    [option]: found,
  });
}

process.exitCode = await main(process.argv.slice(2)).then(() => 0, fail);
