/** The commands of `florence2-batch`. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { LoadEngine } from "florence2-server/batches";
import { Florence2Error, tasks } from "florence2-webgpu";
import { computeGroup } from "../chunk/compute.ts";
import { findItems } from "../inputs/find_items.ts";
import { CANCEL_FILE, FORMATS, missingChunks, planRun, readChunk, readPlan } from "../plan/plan.ts";
import { dequeue, enqueue, withChunks } from "../queue/queue.ts";
import { workQueued } from "../queue/work_queued.ts";
import { finishRun, readRows, retryErrors } from "../results/manifest.ts";
import { MERGED, mergeRun } from "../results/merge.ts";
import { statusOf } from "../results/status.ts";
import { openStorage } from "../storage/storage.ts";
import { workEmbedded, workOn } from "../work/embedded.ts";
import { type OpenModel, openModel } from "../work/open_model.ts";
import { ownProgram } from "../work/probe.ts";
import { HELP } from "./help.ts";
import {
  counted,
  deviceOptions,
  milliseconds,
  oneOf,
  outOf,
  readArguments,
  required,
  type Values,
  wholeNumber,
} from "./options.ts";
import { printStatus } from "./print_status.ts";
import { WorkProgress } from "./progress.ts";
import { CHUNK, checkModel, chunkMeasurer, loaderOf, openWork } from "./work_options.ts";

/** A command; it resolves to the exit code. */
interface Call {
  readonly values: Values;
  readonly positionals: readonly string[];
  readonly signal: AbortSignal;
  readonly open: OpenModel;
  readonly load?: LoadEngine;
  readonly program: readonly string[];
}

/** Exit code of work that a signal stopped, as shells have it. */
const STOPPED = 130;

/**
 * Runs a command line.
 *
 * @param open opens the model of a run, and `load` that of a server's batch; tests give made-up ones
 * @param program the command line of a process that runs `batch` with the same models
 * @returns exit code: 0, 1 if images have no answer, 130 if a signal stopped the work
 */
export async function batch(
  args: string[],
  signal: AbortSignal,
  open: OpenModel = openModel,
  load?: LoadEngine,
  program: readonly string[] = ownProgram(fileURLToPath(new URL("../main.js", import.meta.url))),
): Promise<number> {
  const { values, positionals } = readArguments(args);
  const [name, ...rest] = positionals;
  if (values.help || name === undefined) {
    process.stdout.write(HELP);
    return values.help ? 0 : 2;
  }
  const command = COMMANDS[name];
  if (command) {
    refuseMore(name, rest);
    const ended = command({ values, positionals: rest, signal, open, load, program });
    if (ORDERLY.includes(name)) return ended;
    const stopped = new Promise<number>((done) =>
      signal.addEventListener("abort", () => done(STOPPED), { once: true }),
    );
    return Promise.race([ended, stopped]);
  }
  const message = `There is no command ${name}; there are ${Object.keys(COMMANDS).join(", ")}.`;
  throw new Florence2Error("option_invalid", message, { name });
}

/** These end in good order after a signal. The others end at once: their files are whole or not there. */
const ORDERLY = ["work", "run-chunk", "board"];

/** Arguments that a command takes at most; plan takes any number of images. */
const ARGUMENTS: Readonly<Record<string, number>> = {
  plan: Number.POSITIVE_INFINITY,
  board: 0,
  "run-chunk": 2,
  probe: 3,
};

function refuseMore(name: string, found: readonly string[]): void {
  const more = found[ARGUMENTS[name] ?? 1];
  if (more === undefined) return;
  const message = `florence2-batch ${name} takes no argument ${more}; --help shows what it takes.`;
  throw new Florence2Error("option_invalid", message, { argument: more });
}

const COMMANDS: Readonly<Record<string, (call: Call) => Promise<number>>> = {
  async plan({ values, positionals, signal, open }) {
    const storage = openStorage(required("out", values, "plan"));
    const task = taskOf(required("task", values, "plan"));
    if (positionals.length === 0)
      throw new Florence2Error("option_invalid", "florence2-batch plan needs images; --help shows how.", {});
    const settings = {
      task,
      text: values.text,
      numBeams: wholeNumber("num-beams", values, 1),
      maxNewTokens: wholeNumber("max-new-tokens", values, 1),
      model: modelOf(values.model),
      revision: values.revision ?? "main",
      dtype: oneOf("dtype", values, ["auto", "f32", "f16", "q8", "q4"]) ?? "auto",
      format: oneOf("format", values, FORMATS) ?? "jsonl",
    };
    await checkModel(settings, { values, signal, open });
    const items = await findItems(positionals, values);
    const chunkSize =
      values.chunk === "auto"
        ? chunkMeasurer({ values, signal, open, settings })
        : (wholeNumber("chunk", values, 1) ?? CHUNK);
    const plan = await planRun(storage, items, { ...settings, chunkSize });
    say(values, `${counted(plan.items, "image")} in ${counted(plan.chunks, "chunk")}: ${storage.url}`);
    if (values.queue) {
      const options = {
        ahead: wholeNumber("ahead", values, 1),
        priority: wholeNumber("priority", values, 1),
        signal,
      };
      const count = await withChunks(values.queue, (queue) => enqueue(queue, storage, plan, options));
      say(values, `${count} chunks are in the queue`);
    }
    return 0;
  },

  async work({ values, positionals, signal, open, load, program }) {
    const out = positionals[0] ?? values.out;
    if (out === undefined && values.queue === undefined) outOf(values, positionals, "work");
    const storage = out === undefined ? undefined : openStorage(out);
    const run = storage && { storage, plan: await readPlan(storage) };
    const progress = new WorkProgress(values.quiet ?? false);
    if (run) progress.begin(run.plan, (await missingChunks(run.storage, run.plan)).length);
    const { options, lines, close } = await openWork({ values, signal, open, load, progress, program });
    try {
      if (values.queue) {
        await workQueued({
          ...options,
          lines,
          queue: values.queue,
          run,
          shutdownTimeout: milliseconds("shutdown-timeout", values) ?? 25_000,
          lockDuration: milliseconds("lock-duration", values),
          onTrouble: (message) => progress.note(message),
        });
      } else if (await workEmbedded(run!.storage, run!.plan, options)) {
        throw new Florence2Error(
          "option_invalid",
          `${run!.storage.url} is cancelled; florence2-batch resume takes that back.`,
          {},
        );
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      progress.note("stopped; the same command goes on from here");
      return STOPPED;
    } finally {
      await close();
    }
    const manifest = run && (await finishRun(run.storage, run.plan));
    if (!manifest) return 0;
    const { rows, errors } = manifest.totals;
    progress.note(`${counted(rows, "image")}, ${errors} without an answer: ${run!.storage.url}`);
    return errors > 0 ? 1 : 0;
  },

  async "run-chunk"({ values, positionals, signal, open, program }) {
    const storage = openStorage(outOf(values, positionals, "run-chunk"));
    const plan = await readPlan(storage);
    const number =
      positionals[1] ?? process.env.JOB_COMPLETION_INDEX ?? process.env.SLURM_ARRAY_TASK_ID ?? "";
    if (!/^\d+$/.test(number)) {
      const message = `florence2-batch run-chunk needs the number of a chunk, 0 to ${plan.chunks - 1}; found "${number}".`;
      throw new Florence2Error("option_invalid", message, { number });
    }
    const progress = new WorkProgress(values.quiet ?? false);
    const { options, close } = await openWork({ values, signal, open, progress, program });
    try {
      const end = await workOn(storage, plan, Number(number), options);
      progress.note(`chunk ${number}: ${end.state}`);
      return 0;
    } catch (error) {
      if (!signal.aborted) throw error;
      return STOPPED;
    } finally {
      await close();
    }
  },

  /** For a worker, which reads the rows and watches this process. */
  async probe({ values, positionals: [out = "", chunk, indices = ""], signal, open }) {
    process.stdin.on("end", () => process.exit(STOPPED)).resume();
    const storage = openStorage(out);
    const plan = await readPlan(storage);
    const items = await readChunk(storage, plan, Number(chunk));
    const chosen = indices.split(",").flatMap((index) => items[Number(index)] ?? []);
    const model = await open(plan, deviceOptions(values), signal);
    try {
      const rows = await computeGroup(plan, chosen, { model, load: loaderOf(values), signal });
      await new Promise((done) => process.stdout.write(`${JSON.stringify(rows)}\n`, done));
      return 0;
    } finally {
      await model.dispose();
    }
  },

  async status({ values, positionals }) {
    const storage = openStorage(outOf(values, positionals, "status"));
    const status = await statusOf(storage, await readPlan(storage));
    process.stdout.write(values.json ? `${JSON.stringify(status)}\n` : printStatus(status));
    return 0;
  },

  async board({ values, signal }) {
    const { openBoard } = await import("../queue/board.ts");
    const board = await openBoard(required("queue", values, "board"), wholeNumber("port", values) ?? 3000);
    say(values, `the queue is shown at ${board.url}`);
    await new Promise<void>((end) => signal.addEventListener("abort", () => end(), { once: true }));
    await board.close();
    return 0;
  },

  async errors({ values, positionals }) {
    const storage = openStorage(outOf(values, positionals, "errors"));
    const plan = await readPlan(storage);
    if (values.retry) {
      const count = await retryErrors(storage, plan);
      if (values.queue) await withChunks(values.queue, (queue) => enqueue(queue, storage, plan));
      say(values, `${count} images are computed again by the next florence2-batch work`);
      return 0;
    }
    for await (const { rows } of readRows(storage, plan)) {
      for (const row of rows) {
        if (row.status !== "error") continue;
        const { code, message } = row.error;
        const line = values.json
          ? JSON.stringify({ key: row.key, code, message })
          : `${row.key}: ${code}: ${message}`;
        process.stdout.write(`${line}\n`);
      }
    }
    return 0;
  },

  async cancel({ values, positionals }) {
    const storage = openStorage(outOf(values, positionals, "cancel"));
    const plan = await readPlan(storage);
    await storage.replace(CANCEL_FILE, new Uint8Array());
    if (values.queue) await withChunks(values.queue, (queue) => dequeue(queue, plan));
    say(values, "cancelled; what is done stays, and florence2-batch resume goes on");
    return 0;
  },

  async resume({ values, positionals, signal }) {
    const storage = openStorage(outOf(values, positionals, "resume"));
    const plan = await readPlan(storage);
    await storage.remove(CANCEL_FILE);
    const options = { ahead: wholeNumber("ahead", values, 1), signal };
    const count = values.queue
      ? await withChunks(values.queue, (queue) => enqueue(queue, storage, plan, options))
      : (await missingChunks(storage, plan)).length;
    const next = values.queue ? "in the queue" : "left for florence2-batch work";
    say(values, `${count} of ${plan.chunks} chunks are ${next}`);
    return 0;
  },

  async merge({ values, positionals }) {
    const storage = openStorage(outOf(values, positionals, "merge"));
    const kind =
      oneOf("format", values, MERGED, "; florence2 convert makes other formats of answers") ?? "answers";
    const to = required("to", values, "merge");
    const written = await mergeRun(storage, await readPlan(storage), to, kind, values.partial);
    for (const file of written) process.stdout.write(`${file}\n`);
    return 0;
  },
};

/**
 * `taskOf("OD")` → <OD>. A free prompt is no task of a run.
 *
 * @throws {Florence2Error} `task_invalid`
 */
function taskOf(name: string): string {
  const tag = name.startsWith("<") ? name : `<${name.toUpperCase().replaceAll("-", "_")}>`;
  const known: string[] = tasks.map(({ token }) => token);
  if (known.includes(tag)) return tag;
  const names = known.map((one) => one.slice(1, -1)).join(", ");
  throw new Florence2Error("task_invalid", `There is no task ${name}; there are ${names}.`, { task: name });
}

/** A folder by its whole path: workers stand elsewhere. */
function modelOf(name = "bundled"): string {
  return name !== "bundled" && existsSync(name) ? resolve(name) : name;
}

function say({ quiet }: Values, text: string): void {
  if (!quiet) process.stderr.write(`${text}\n`);
}
