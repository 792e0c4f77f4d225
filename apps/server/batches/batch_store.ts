import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { readJsonFile, writeWhole } from "../files/durable.ts";
import { ApiError } from "../http/errors.ts";
import type { Batch } from "./batch.ts";

const ID = /^batch_[0-9a-f]{32}$/;

/** Batches in a folder, one JSON file each. */
export class BatchStore {
  readonly #folder: string;
  readonly #batches = new Map<string, Batch>();
  #opened: Promise<void> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Oldest first. */
  async list(): Promise<Batch[]> {
    await this.#open();
    return [...this.#batches.values()].sort((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1));
  }

  /** @throws {ApiError} 404 */
  async get(id: string): Promise<Batch> {
    await this.#open();
    const batch = this.#batches.get(id);
    if (!batch) throw new ApiError(404, "batch_not_found", "There is no batch of this id.");
    return batch;
  }

  async save(batch: Batch): Promise<void> {
    await this.#open();
    this.#batches.set(batch.id, batch);
    await writeWhole(join(this.#folder, `${batch.id}.json`), JSON.stringify(batch));
  }

  /** Where the results of a batch grow. */
  resultsPath({ id }: Batch, kind: "output" | "error"): string {
    return join(this.#folder, `${id}.${kind}.jsonl`);
  }

  #open(): Promise<void> {
    this.#opened ??= this.#readFolder();
    return this.#opened;
  }

  async #readFolder(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#folder)) {
      if (!name.endsWith(".json")) continue;
      const batch = await readJsonFile<Batch>(join(this.#folder, name));
      if (batch && ID.test(batch.id)) this.#batches.set(batch.id, batch);
    }
  }
}
