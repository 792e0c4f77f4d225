/**
 * `npm run bench -- host`: what a process sees of the CPU engine beside its answers: how long its event loop stands
 * still, and its memory. This module starts a fresh process, and is its program.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { BUNDLED_IMAGE } from "../commands/bundled.ts";
import { type Column, figure, mebibytes, milliseconds, text } from "../measure/table.ts";
import { HOST_CLOCK, hostClock } from "../measure/watch.ts";
import { Florence2 } from "../model/florence2.ts";
import type { WeightsDtype } from "../model/weights/loader.ts";

export interface HostRow {
  readonly phase: string;
  readonly ms: number;
  /** The longest time in which nothing else had a turn, by the clock and by what the main thread computed; milliseconds. */
  readonly longestBlock: number;
  readonly longestWork: number;
  /** Of the process, in bytes: at the end of the phase, and the most in it. */
  readonly residentBytes: number;
  readonly peakBytes: number;
}

export interface HostQuestion {
  readonly folder: string;
  readonly dtype: WeightsDtype;
  readonly threads: number | undefined;
}

export const HOST_COLUMNS: readonly Column<HostRow>[] = [
  text("phase", 28, ({ phase }) => phase),
  figure("ms", ({ ms }) => milliseconds(ms)),
  figure("longest block, ms", ({ longestBlock }) => milliseconds(longestBlock)),
  figure(`longest block, ms of ${HOST_CLOCK}`, ({ longestWork }) => milliseconds(longestWork)),
  figure("MiB at its end", ({ residentBytes }) => mebibytes(residentBytes)),
  figure("MiB at most", ({ peakBytes }) => mebibytes(peakBytes)),
];

const TOKENS = 20;

/** Loads a model in a fresh process, then encodes an image and answers about it, twice. */
export async function* measureHost(question: HostQuestion): AsyncGenerator<HostRow> {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(question)]);
  try {
    for (;;) {
      const [row] = await Promise.race([
        once(child, "message") as Promise<[HostRow | null]>,
        once(child, "exit").then(([code]) => {
          throw new Error(`the measured process ended with exit ${code}`);
        }),
      ]);
      if (!row) return;
      yield row;
    }
  } finally {
    child.kill();
  }
}

/** The longest of the gaps between turns of the event loop, while something else is done. */
class LoopWatch {
  longestBlock = 0;
  longestWork = 0;
  #last = performance.now();
  #worked = hostClock();
  readonly #timer = setInterval(() => this.#turn(), 1);

  #turn(): void {
    const [now, worked] = [performance.now(), hostClock()];
    this.longestBlock = Math.max(this.longestBlock, now - this.#last);
    this.longestWork = Math.max(this.longestWork, worked - this.#worked);
    [this.#last, this.#worked] = [now, worked];
  }

  end(): void {
    this.#turn();
    clearInterval(this.#timer);
  }
}

const CLEAR_REFS = "/proc/self/clear_refs";
const FORGET_PEAK = "5";

/** The most that this process ever held, in bytes; on Linux since `forgetPeak`. */
function peakBytes(): number {
  if (!existsSync(CLEAR_REFS)) return 1024 * process.resourceUsage().maxRSS;
  return 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))![1]);
}

function forgetPeak(): void {
  if (existsSync(CLEAR_REFS)) writeFileSync(CLEAR_REFS, FORGET_PEAK);
}

/** Called in the process of its own. */
async function answer({ folder, dtype, threads }: HostQuestion): Promise<void> {
  const phase = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    forgetPeak();
    const watch = new LoopWatch();
    const start = performance.now();
    const done = await work();
    const ms = performance.now() - start;
    watch.end();
    const { longestBlock, longestWork } = watch;
    const residentBytes = process.memoryUsage.rss();
    process.send!({
      phase: name,
      ms,
      longestBlock,
      longestWork,
      residentBytes,
      peakBytes: peakBytes(),
    } satisfies HostRow);
    return done;
  };
  const model = await phase("loading", () =>
    Florence2.fromPretrained(folder, { device: "cpu", dtype, threads }),
  );
  const image = new Uint8Array(readFileSync(BUNDLED_IMAGE));
  for (const time of ["first", "second"]) {
    const encoded = await phase(`${time} image`, () => model.encodeImage(image));
    await phase(`${time} answer, ${TOKENS} tokens`, () =>
      model.run(encoded, "<CAPTION>", { minNewTokens: TOKENS, maxNewTokens: TOKENS }),
    );
    encoded.dispose();
  }
  process.send!(null);
}

const [, program, question] = process.argv;
if (program === fileURLToPath(import.meta.url) && process.send) await answer(JSON.parse(question!));
