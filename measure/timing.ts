import type { Activity, Observer } from "./watch.ts";

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
  /** Takes the samples. Default: `sampleTimes`; `npm run bench` gives tinybench. */
  readonly sampler?: Sampler;
}

/** One run, and what surrounds it untimed. */
export interface Run {
  readonly run: () => Promise<unknown>;
  readonly before: () => Promise<void>;
  readonly after: () => Promise<void>;
}

/** Does a run once untimed, because that may compile, then as often as the effort says. Gives milliseconds. */
export type Sampler = (run: Run, effort: Effort) => Promise<readonly number[]>;

/** What a piece of work took. Times are milliseconds, medians; counts are those of the last run. */
export interface Measured extends Activity {
  /** Wall time; the shortest and the third quartile say how steady the machine was. */
  readonly ms: number;
  readonly fastest: number;
  readonly p75: number;
  readonly samples: number;
}

/** Measures a piece of work. */
export async function measure(observer: Observer, work: Work, effort: Effort): Promise<Measured> {
  const all: Activity[] = [];
  const run = {
    run: work.run,
    before: async () => {
      await work.before?.();
      observer.begin();
    },
    after: async () => {
      all.push(await observer.end());
      work.after?.();
    },
  };
  const times = await (effort.sampler ?? sampleTimes)(run, effort);
  const seen = all.slice(-times.length);

  const pieces = work.pieces?.() ?? 1;
  const { dispatches, submits, readbacks, objects, peakBytes } = seen.at(-1)!;
  const gpuMs = median(seen.map((activity) => activity.gpuMs ?? Number.NaN));
  return {
    ms: median(times) / pieces,
    fastest: Math.min(...times) / pieces,
    p75: quantile(times, 0.75) / pieces,
    samples: times.length,
    gpuMs: Number.isNaN(gpuMs) ? null : gpuMs / pieces,
    hostMs: median(seen.map(({ hostMs }) => hostMs)) / pieces,
    dispatches: dispatches / pieces,
    submits: submits / pieces,
    readbacks: readbacks / pieces,
    objects: objects / pieces,
    peakBytes,
  };
}

/** Samples by the clock of this runtime. */
async function sampleTimes({ run, before, after }: Run, { seconds, samples }: Effort): Promise<number[]> {
  const timed = async () => {
    await before();
    const start = performance.now();
    await run();
    const time = performance.now() - start;
    await after();
    return time;
  };
  await timed();
  const times: number[] = [];
  const end = performance.now() + 1000 * seconds;
  while (times.length < samples || performance.now() < end) times.push(await timed());
  return times;
}

export const median = (values: readonly number[]) => quantile(values, 0.5);

/** The value below which this share of the values lies, interpolated: `quantile([1, 2, 4], 0.75)` is 3. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!];
  return below + (place - Math.floor(place)) * (above - below);
}
