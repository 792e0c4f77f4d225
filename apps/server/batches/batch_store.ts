import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Checkpoint } from "../chunks/checkpoint.ts";
import type { AnswerSettings } from "../config/answer_settings.ts";
import { codeOf, createWhole, readJsonFile, UNFINISHED } from "../files/durable.ts";
import { makeFolder } from "../files/make_folder.ts";
import { ApiError } from "../http/errors.ts";
import { type Batch, now } from "./batch.ts";
import { type BatchResult, sumOf, type Tally, tallyOf } from "./results.ts";

const ID = /^batch_[0-9a-f]{32}$/;

/** How a batch is computed, decided when its lines were found good. */
export interface BatchPlan {
  readonly begun_at: number;
  readonly total: number;
  /** Where the chunks end, in bytes of the input file. */
  readonly ends: readonly number[];
  readonly settings: AnswerSettings;
}

interface Cancelled {
  readonly cancelling_at: number;
}

/**
 * Batches in a folder that several servers may share, a folder each: `batch.json` as it was asked for, `plan.json`,
 * `cancelled.json`, `parts/` with the results of chunks, and `ended.json`. Each file is written once, by whoever is first;
 * where a batch stands is told by them alone.
 */
export class BatchStore {
  readonly #folder: string;
  /** Counts of parts, which never change. */
  readonly #tallies = new Map<string, Tally>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async create(batch: Batch): Promise<void> {
    makeFolder(this.#path(batch.id), 0o700);
    await createWhole(this.#path(batch.id, "batch.json"), JSON.stringify(batch));
  }

  /** As they stand now, oldest first. */
  async list(): Promise<Batch[]> {
    const batches = await Promise.all((await this.#ids()).map((id) => this.find(id)));
    return batches
      .filter((batch) => batch !== undefined)
      .sort((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1));
  }

  /** Batches that have not ended. */
  async unfinished(): Promise<string[]> {
    const ids = await this.#ids();
    const ended = await Promise.all(ids.map((id) => this.hasEnded(id)));
    return ids.filter((_, i) => !ended[i]);
  }

  /** @throws {ApiError} 404 */
  async get(id: string): Promise<Batch> {
    const batch = await this.find(id);
    if (!batch) throw new ApiError(404, "batch_not_found", "There is no batch of this id.");
    return batch;
  }

  /** As it stands now. */
  async find(id: string): Promise<Batch | undefined> {
    const asked = ID.test(id) ? await readJsonFile<Batch>(this.#path(id, "batch.json")) : undefined;
    if (!asked) return undefined;
    const readEnd = () => readJsonFile<Batch>(this.#path(id, "ended.json"));
    const ended = await readEnd();
    if (ended) return ended;
    try {
      return await this.#running(asked);
    } catch (error) {
      // Another server ended it meanwhile, and removed its parts.
      const end = await readEnd();
      if (end) return end;
      throw error;
    }
  }

  async #running(asked: Batch): Promise<Batch> {
    const { id } = asked;
    const [plan, cancelled] = [await this.readPlan(id), await this.#readCancelled(id)];
    const parts = plan ? await this.parts(id) : [];
    const { completed, failed, input, output } = sumOf(await this.#talliesOf(id, parts));
    const statusOf = () => {
      if (plan && parts.length === plan.ends.length) return "finalizing";
      if (cancelled) return "cancelling";
      return plan ? "in_progress" : "validating";
    };
    return {
      ...asked,
      status: statusOf(),
      in_progress_at: plan?.begun_at ?? null,
      cancelling_at: cancelled?.cancelling_at ?? null,
      request_counts: { total: plan?.total ?? 0, completed, failed },
      usage: { input_tokens: input, output_tokens: output, total_tokens: input + output },
    };
  }

  readPlan(id: string): Promise<BatchPlan | undefined> {
    return readJsonFile<BatchPlan>(this.#path(id, "plan.json"));
  }

  /** Keeps the plan that is there already. */
  async savePlan(id: string, plan: BatchPlan): Promise<BatchPlan> {
    await createWhole(this.#path(id, "plan.json"), JSON.stringify(plan));
    return (await this.readPlan(id)) ?? plan;
  }

  async cancel(id: string): Promise<void> {
    const cancelled: Cancelled = { cancelling_at: now() };
    await createWhole(this.#path(id, "cancelled.json"), JSON.stringify(cancelled));
  }

  async isCancelled(id: string): Promise<boolean> {
    return (await this.#readCancelled(id)) !== undefined;
  }

  async hasEnded(id: string): Promise<boolean> {
    return (await readJsonFile(this.#path(id, "ended.json"))) !== undefined;
  }

  /** Ends a batch. The first end stays; the parts that led to it are removed. */
  async end(batch: Batch): Promise<void> {
    await createWhole(this.#path(batch.id, "ended.json"), JSON.stringify(batch));
    for (const part of await this.parts(batch.id)) this.#tallies.delete(`${batch.id}/${part}`);
    for (const folder of ["parts", "partial"])
      await rm(this.#path(batch.id, folder), { recursive: true, force: true });
  }

  /** Chunks that have their results, in their order. */
  async parts(id: string): Promise<number[]> {
    const names = await namesIn(this.#path(id, "parts"));
    return names
      .filter((name) => !name.endsWith(UNFINISHED))
      .map((name) => Number.parseInt(name, 10))
      .sort((a, b) => a - b);
  }

  /** Of a chunk that has them. */
  async readPart(id: string, chunk: number): Promise<BatchResult[]> {
    const text = await readFile(this.#path(id, "parts", fileOf(chunk)), "utf8");
    return text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }

  /** Keeps the results that are there already: a chunk may be computed twice. */
  async savePart(id: string, chunk: number, results: readonly BatchResult[]): Promise<void> {
    makeFolder(this.#path(id, "parts"));
    const lines = results.map((result) => `${JSON.stringify(result)}\n`);
    await createWhole(this.#path(id, "parts", fileOf(chunk)), lines.join(""));
  }

  checkpoint(id: string, chunk: number): Checkpoint<BatchResult> {
    return new Checkpoint(this.#path(id, "partial", fileOf(chunk)));
  }

  #readCancelled(id: string): Promise<Cancelled | undefined> {
    return readJsonFile<Cancelled>(this.#path(id, "cancelled.json"));
  }

  /** Of the parts, and of what is done of the chunks at work. */
  async #talliesOf(id: string, parts: readonly number[]): Promise<Tally[]> {
    const there = new Set(parts);
    const tallies: Tally[] = [];
    for (const part of parts) {
      const name = `${id}/${part}`;
      const tally = this.#tallies.get(name) ?? tallyOf(await this.readPart(id, part));
      this.#tallies.set(name, tally);
      tallies.push(tally);
    }
    for (const name of await namesIn(this.#path(id, "partial"))) {
      const chunk = Number.parseInt(name, 10);
      if (!there.has(chunk)) tallies.push(tallyOf(this.checkpoint(id, chunk).rows.values()));
    }
    return tallies;
  }

  async #ids(): Promise<string[]> {
    return (await namesIn(this.#folder)).filter((name) => ID.test(name));
  }

  #path(id: string, ...names: string[]): string {
    return join(this.#folder, id, ...names);
  }
}

const fileOf = (chunk: number) => `${String(chunk).padStart(5, "0")}.jsonl`;

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  });
}
