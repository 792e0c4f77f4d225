/** The plan of a run: everything that decides its answers, its name (a hash of that), and its chunks. */
import { createHash } from "node:crypto";
import { Florence2Error, type Region, resolveTask, type TaskToken } from "florence2-webgpu";
import type { Storage } from "../storage/storage.ts";

export const FORMATS = ["jsonl", "jsonl.gz", "parquet"] as const;
export type PartFormat = (typeof FORMATS)[number];

/** One image to be asked about. */
export interface Item {
  /** Names its row; once in a run. */
  readonly key: string;
  /** A path, or a URL of http(s), s3 or tar. */
  readonly url: string;
  readonly size?: number;
  readonly etag?: string;
  /** In place of the text of the run. */
  readonly text?: string;
  /** In pixels, for tasks that take a region. */
  readonly region?: Region;
}

/** Everything that decides the answers of a run. */
export interface RunSettings {
  /** Tag of the task. */
  readonly task: string;
  readonly text?: string;
  readonly numBeams?: number;
  readonly maxNewTokens?: number;
  /** A folder, a repository, or `bundled`. */
  readonly model: string;
  readonly revision: string;
  readonly dtype: string;
  readonly format: PartFormat;
  /** Images in a chunk. */
  readonly chunkSize: number;
}

/** The content of `run.json`. */
export interface RunPlan extends RunSettings {
  readonly version: 1;
  /** SHA-256 of the settings and the list. */
  readonly run: string;
  readonly items: number;
  readonly chunks: number;
  /** SHA-256 of the lines of all chunks. */
  readonly list: string;
}

export const PLAN_FILE = "run.json";
/** Stands in a run that was cancelled. */
export const CANCEL_FILE = "cancelled";

/** Finds out how many images a chunk is to have. */
export type MeasureChunk = (items: readonly Item[]) => Promise<number>;

/**
 * Writes the chunks of a run and then its `run.json`; a run that is planned already is left as it is.
 *
 * @param chunkSize images in a chunk; what is measured is not measured again for a run that is there
 * @throws {Florence2Error} `option_invalid` if the storage holds another run; `task_invalid`; `data_invalid` if a key
 *   stands for two images
 */
export async function planRun(
  storage: Storage,
  found: readonly Item[],
  { chunkSize, ...others }: Omit<RunSettings, "chunkSize"> & { readonly chunkSize: number | MeasureChunk },
): Promise<RunPlan> {
  checkTask(others, found);
  const items = distinct(found);
  const known = await findPlan(storage);
  const measured = async (measure: MeasureChunk) => known?.chunkSize ?? (await measure(items));
  const settings: RunSettings = {
    ...others,
    chunkSize: typeof chunkSize === "number" ? chunkSize : await measured(chunkSize),
  };
  const hash = createHash("sha256");
  for (const item of items) hash.update(lineOf(item));
  const list = hash.digest("hex");
  const own = { version: 1 as const, ...settings, list };
  const run = createHash("sha256").update(canonical(own)).digest("hex");
  const chunks = Math.ceil(items.length / settings.chunkSize);
  const plan: RunPlan = { ...own, run, items: items.length, chunks };
  if (known && known.run !== run) throw mixed(storage, known, plan);
  if (known) return known;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const own = items.slice(chunk * settings.chunkSize, (chunk + 1) * settings.chunkSize);
    await storage.replace(chunkFile(chunk), Buffer.from(own.map(lineOf).join("")));
  }
  if (!(await storage.create(PLAN_FILE, Buffer.from(`${JSON.stringify(plan, null, 2)}\n`)))) {
    const first = await readPlan(storage);
    if (first.run !== run) throw mixed(storage, first, plan);
  }
  return plan;
}

/** @throws {Florence2Error} `file_not_found` if there is no plan */
export async function readPlan(storage: Storage): Promise<RunPlan> {
  const plan = await findPlan(storage);
  if (plan) return plan;
  await storage.expectBucket();
  const message = `${storage.url} has no ${PLAN_FILE}: florence2-batch plan makes one.`;
  throw new Florence2Error("file_not_found", message, { storage: storage.url });
}

async function findPlan(storage: Storage): Promise<RunPlan | undefined> {
  const content = await storage.read(PLAN_FILE);
  if (!content) return undefined;
  const plan = parsed(content, `${storage.url}/${PLAN_FILE}`) as RunPlan;
  if (plan.version === 1) return plan;
  const message = `${storage.url}/${PLAN_FILE} is of version ${plan.version}; this program knows version 1.`;
  throw new Florence2Error("data_invalid", message, { storage: storage.url });
}

/** @throws {Florence2Error} `option_invalid` for a number that is no chunk; `file_not_found` if its list is gone */
export async function readChunk(storage: Storage, plan: RunPlan, chunk: number): Promise<Item[]> {
  if (!Number.isInteger(chunk) || chunk < 0 || chunk >= plan.chunks) {
    const message = `There is no chunk ${chunk}: the run has chunks 0 to ${plan.chunks - 1}.`;
    throw new Florence2Error("option_invalid", message, { chunk });
  }
  const content = await storage.read(chunkFile(chunk));
  if (!content) {
    const message = `${storage.url}/${chunkFile(chunk)} is missing: the same florence2-batch plan writes it again once ${PLAN_FILE} is removed.`;
    throw new Florence2Error("file_not_found", message, { chunk });
  }
  const lines = Buffer.from(content).toString("utf8").split("\n").filter(Boolean);
  return lines.map((line) => parsed(Buffer.from(line), `${storage.url}/${chunkFile(chunk)}`) as Item);
}

/** `chunkFile(42)` → chunks/00042.jsonl */
export const chunkFile = (chunk: number): string => `chunks/${padded(chunk)}.jsonl`;

/** `partStem(42, 781)` → part-00042-of-00781 */
export const partStem = (chunk: number, chunks: number): string =>
  `part-${padded(chunk)}-of-${padded(chunks)}`;

/** Where the results of a chunk are, once they are there. */
export const partFile = ({ chunks, format }: RunPlan, chunk: number): string =>
  `parts/${partStem(chunk, chunks)}.${format}`;

/** Chunks that have no results, in their order. */
export async function missingChunks(storage: Storage, plan: RunPlan): Promise<number[]> {
  const there = new Set((await storage.list("parts")).map(({ name }) => name));
  return [...Array(plan.chunks).keys()].filter((chunk) => !there.has(partFile(plan, chunk)));
}

const padded = (number: number) => String(number).padStart(5, "0");
const lineOf = (item: Item) => `${JSON.stringify(item)}\n`;

/** In the order of keys by code units, each once. */
function distinct(found: readonly Item[]): Item[] {
  const sorted = [...found].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const items: Item[] = [];
  for (const item of sorted) {
    const last = items.at(-1);
    if (last?.key !== item.key) items.push(item);
    else if (lineOf(last) !== lineOf(item)) {
      const message = `The key ${item.key} stands for ${last.url} and for ${item.url}: keys must differ. Name the folder above both with --recursive, or give keys in a list.`;
      throw new Florence2Error("data_invalid", message, { key: item.key });
    }
  }
  return items;
}

/** Finds a task at fault before a machine loads a model for it. Sizes are known later: any does for the check. */
function checkTask({ task, text }: Pick<RunSettings, "task" | "text">, items: readonly Item[]): void {
  const ANY = { width: 1000, height: 1000 };
  const own = items.filter((item) => item.text !== undefined || item.region !== undefined);
  for (const item of own) resolveTask(task as TaskToken, item.region ?? item.text, ANY);
  if (own.length < items.length || items.length === 0) resolveTask(task as TaskToken, text, ANY);
}

/** JSON with the names of fields in order. */
function canonical(value: object): string {
  const entries = Object.entries(value).filter(([, own]) => own !== undefined);
  return JSON.stringify(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))));
}

function parsed(content: Uint8Array, file: string): unknown {
  try {
    return JSON.parse(Buffer.from(content).toString("utf8"));
  } catch (error) {
    throw new Florence2Error("data_invalid", `${file} is not JSON.`, { file }, error);
  }
}

function mixed(storage: Storage, known: RunPlan, plan: RunPlan): Florence2Error {
  const names = Object.keys(plan).filter((name) => !["run", "chunks", "items"].includes(name));
  const differing = names.filter((name) => known[name as keyof RunPlan] !== plan[name as keyof RunPlan]);
  const message = `${storage.url} holds another run, which differs in ${differing.join(", ")}. Name another --out.`;
  return new Florence2Error("option_invalid", message, { differing });
}
