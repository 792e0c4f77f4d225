import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { Florence2Error } from "../../core/errors.ts";
import { type Contestant, captionOf, type Question, rulesOf } from "./contestant.ts";

/** An answer of tests/reference/peer.py. */
type Reply =
  | { readonly version: string; readonly ms: number }
  | {
      readonly tokens: readonly number[];
      readonly marks: readonly [number, number, number, number];
      readonly peakBytes: number;
    }
  | { readonly error: string };

export interface PyTorchOptions {
  readonly device: "cpu" | "cuda";
  readonly compiled: boolean;
}

/**
 * Transformers' own Florence-2 in PyTorch, by its `generate`: on the CPU in float32, on CUDA in float16, with SDPA.
 *
 * @throws {Florence2Error} `dependency_missing` if Python, its packages or the device are
 */
export async function openPyTorch(question: Question, options: PyTorchOptions): Promise<Contestant> {
  const { imageConfig, pixelValues, promptIds, folder } = question;
  const { settings } = await rulesOf(question);
  const python = new PythonProcess();
  const opened = await python.ask({
    ...options,
    threads: question.threads,
    folder,
    side: [imageConfig.height, imageConfig.width],
    pixels: Buffer.from(pixelValues.buffer, pixelValues.byteOffset, pixelValues.byteLength).toString(
      "base64",
    ),
    prompt: promptIds,
    rules: {
      min_new_tokens: settings.minNewTokens,
      max_new_tokens: settings.maxNewTokens,
      no_repeat_ngram_size: settings.noRepeatNgramSize,
      forced_bos_token_id: settings.forcedBosTokenId,
      forced_eos_token_id: settings.forcedEosTokenId,
    },
  });
  let peakBytes = 0;
  return {
    version: (opened as { version: string }).version,
    loadMs: (opened as { ms: number }).ms,
    isRounded: options.device === "cuda",
    peakBytes: () => peakBytes,
    async caption() {
      const reply = await python.ask("caption");
      if (!("tokens" in reply)) throw new Error("PyTorch gave no caption");
      peakBytes = reply.peakBytes;
      return captionOf(reply.tokens, 1, reply.marks);
    },
  };
}

/** Python, asked in lines of JSON; it ends with this process. */
class PythonProcess {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  /** Settles when the process has ended, and all of its output is here. */
  readonly #ended: Promise<void>;
  #errors = "";

  constructor() {
    this.#process = spawn("bash", ["tests/reference/run", "peer"]);
    this.#process.stderr.on("data", (text) => {
      this.#errors += text;
    });
    this.#ended = new Promise((resolve) => {
      // The missing answer reports it.
      this.#process.on("error", () => resolve()).on("close", () => resolve());
    });
    this.#process.stdin.on("error", () => {});
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
    process.once("exit", () => this.#process.kill());
  }

  async ask(request: object | string): Promise<Exclude<Reply, { error: string }>> {
    this.#process.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) {
      await this.#ended;
      const reason = this.#errors.trim().split("\n").at(-1) || "Python ended";
      throw new Florence2Error(
        "dependency_missing",
        `${reason}. FLORENCE2_REFERENCE_PYTHON may name a Python that has the packages of tests/reference/requirements.txt.`,
        { reason },
      );
    }
    const reply = JSON.parse(value) as Reply;
    if ("error" in reply) throw new Florence2Error("dependency_missing", reply.error);
    return reply;
  }
}
