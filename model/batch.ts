import { Florence2Error } from "../core/errors.ts";
import { isUrlObject } from "../files/realms.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import type { GenerationSettings } from "./generation/options.ts";
import { imageOptions } from "./option_names.ts";
import type { AskedTask, BatchItem, BatchOptions } from "./questions.ts";
import { type Result, resultOf } from "./results.ts";
import { BATCH_SIZE } from "./scheduling/answers.ts";
import { onAbort } from "./scheduling/promises.ts";
import type { PreparedItem, Scheduler } from "./scheduling/scheduler.ts";
import type { AnswerOf } from "./tasks/index.ts";

/** Characters of a file name in messages. */
const MAX_NAME = 200;

type Outcome<T extends AskedTask> = Result<AnswerOf<T>> | Florence2Error;

/** The questions of one `runBatch`, of which a few images are loaded and encoded while others are answered. */
export class Batch<T extends AskedTask> {
  readonly #scheduler: Scheduler;
  readonly #tokenizer: Tokenizer;
  readonly #items: readonly BatchItem<T>[];
  readonly #settings: GenerationSettings;
  readonly #options: BatchOptions;
  readonly #stop = new AbortController();
  /** By index of the item; a hole where there is none yet. */
  readonly #results: Result<AnswerOf<T>>[] = [];
  readonly #failures = new Map<number, unknown>();

  constructor(
    scheduler: Scheduler,
    tokenizer: Tokenizer,
    items: readonly BatchItem<T>[],
    settings: GenerationSettings,
    options: BatchOptions,
  ) {
    this.#scheduler = scheduler;
    this.#tokenizer = tokenizer;
    this.#items = items;
    this.#settings = settings;
    this.#options = options;
  }

  /** Answers all items, in groups of which the next is prepared while one is decoded. */
  async run(signal: AbortSignal): Promise<Outcome<T>[]> {
    const unlisten = onAbort(signal, () => this.#stop.abort(signal.reason));
    const groups: number[][] = [];
    for (let from = 0; from < this.#items.length; from += BATCH_SIZE)
      groups.push([...this.#items.keys()].slice(from, from + BATCH_SIZE));
    try {
      let next = this.#prepare(groups[0] ?? []);
      for (const [i] of groups.entries()) {
        const group = await next;
        next = this.#prepare(groups[i + 1] ?? []);
        await this.#answer(group);
      }
    } finally {
      unlisten();
    }
    signal.throwIfAborted();
    if (this.#stop.signal.aborted) throw this.#reason();
    return this.#items.map((_, i) => this.#results[i] ?? this.#errorOf(i));
  }

  /** Those of these items that can be asked. */
  async #prepare(group: readonly number[]): Promise<NumberedItem[]> {
    const prepared = group.map(async (index) => {
      try {
        this.#stop.signal.throwIfAborted();
        const item = this.#items[index] as BatchItem;
        const options = imageOptions(this.#options);
        return [{ ...(await this.#scheduler.prepare(item, options, this.#stop.signal)), index }];
      } catch (error) {
        this.#fail(index, error);
        return [];
      }
    });
    return (await Promise.all(prepared)).flat();
  }

  async #answer(group: readonly NumberedItem[]): Promise<void> {
    const answers = this.#scheduler.answer(group, this.#settings, this.#stop.signal);
    const results = answers.map(async (answer, i) => {
      const { questions, index } = group[i]!;
      try {
        const result = resultOf<T>(this.#tokenizer, questions, await answer, this.#options);
        this.#results[index] = result;
        this.#tell(result, index);
      } catch (error) {
        this.#fail(index, error);
      }
    });
    await Promise.all(results);
  }

  #fail(index: number, error: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#failures.set(index, error);
    const canGoOn = this.#options.onError === "return" && error instanceof Florence2Error;
    if (canGoOn) this.#tell(this.#errorOf(index), index);
    else this.#stop.abort(error);
  }

  #tell(outcome: Outcome<T>, index: number): void {
    if (this.#stop.signal.aborted) return;
    try {
      this.#options.onResult?.(outcome, index);
    } catch (error) {
      this.#stop.abort(error);
    }
  }

  /** Why the batch stopped, with what was done until then. */
  #reason(): unknown {
    const { reason } = this.#stop.signal;
    const index = [...this.#failures.keys()].find((failed) => this.#failures.get(failed) === reason);
    if (index === undefined || !(reason instanceof Florence2Error)) return reason;
    return this.#errorOf(index, { results: this.#items.map((_, i) => this.#results[i]) });
  }

  #errorOf(index: number, details: { readonly results?: readonly unknown[] } = {}): Florence2Error {
    const error = this.#failures.get(index) as Florence2Error;
    const file = fileNameOf(this.#items[index]!.image);
    const where = file === undefined ? `Item ${index}` : `Item ${index} (${file})`;
    const found = { ...error.details, index, ...(file !== undefined && { file }), ...details };
    return new Florence2Error(error.code, `${where}: ${error.message}`, found, error);
  }
}

type NumberedItem = PreparedItem & { readonly index: number };

/** How messages name the image of an item; not for pixels, which have no name. */
function fileNameOf(image: BatchItem["image"]): string | undefined {
  if (isUrlObject(image) || typeof image === "string") {
    const text = String(image);
    if (/^data:/i.test(text)) return "a data: URL";
    // Without query and credentials, which may be secrets.
    const name =
      /^https?:/i.test(text) && URL.canParse(text) ? new URL(text).origin + new URL(text).pathname : text;
    return name.length <= MAX_NAME ? name : `${name.slice(0, MAX_NAME)}…`;
  }
  return "name" in image && typeof image.name === "string" ? image.name : undefined;
}
