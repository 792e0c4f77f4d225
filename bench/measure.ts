import { Bench } from "tinybench";
import type { Activity, Watch } from "./watch.ts";

/** Something to be timed again and again; what comes before and after each run is not timed. */
export interface Work {
  /** Ends when the device has done its part. */
  readonly run: () => Promise<unknown>;
  readonly before?: () => Promise<void>;
  readonly after?: () => void;
  /** How many equal pieces one run was, asked at the end. Default 1. */
  readonly pieces?: () => number;
}

/** How long a measurement lasts: until both are reached. */
export interface Effort {
  readonly seconds: number;
  readonly samples: number;
}

/** What a piece of work took. Times are milliseconds, medians; counts are those of the last run. */
export interface Measured extends Activity {
  /** Wall time; the shortest and the third quartile say how steady the machine was. */
  readonly ms: number;
  readonly fastest: number;
  readonly p75: number;
  readonly samples: number;
}

/** Runs the work once untimed, because that may compile, and then as often as the effort says. */
export async function measure(watch: Watch, work: Work, { seconds, samples }: Effort): Promise<Measured> {
  const seen: Activity[] = [];
  const warmup = { warmupIterations: 1, warmupTime: 0 };
  const bench = new Bench({ time: 1000 * seconds, iterations: samples, ...warmup, throws: true });
  bench.add("work", work.run, {
    async: true,
    beforeAll: () => {
      seen.length = 0;
    },
    beforeEach: async () => {
      await work.before?.();
      watch.begin();
    },
    afterEach: async () => {
      seen.push(await watch.end());
      work.after?.();
    },
  });
  const [task] = await bench.run();
  if (task?.result.state !== "completed") throw new Error(`The measurement is ${task?.result.state}`);

  const pieces = work.pieces?.() ?? 1;
  const { min, p50, p75, samplesCount } = task.result.latency;
  const { dispatches, submits, readbacks, objects, peakBytes } = seen.at(-1)!;
  const gpuMs = median(seen.map((activity) => activity.gpuMs ?? Number.NaN));
  return {
    ms: p50 / pieces,
    fastest: min / pieces,
    p75: p75 / pieces,
    samples: samplesCount,
    gpuMs: Number.isNaN(gpuMs) ? null : gpuMs / pieces,
    hostMs: median(seen.map(({ hostMs }) => hostMs)) / pieces,
    dispatches: dispatches / pieces,
    submits: submits / pieces,
    readbacks: readbacks / pieces,
    objects: objects / pieces,
    peakBytes,
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
}
