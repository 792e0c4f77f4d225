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
export async function measure(
  observer: Observer,
  work: Work,
  { seconds, samples }: Effort,
): Promise<Measured> {
  const times: number[] = [];
  const seen: Activity[] = [];
  const runOnce = async () => {
    await work.before?.();
    observer.begin();
    const start = performance.now();
    await work.run();
    times.push(performance.now() - start);
    seen.push(await observer.end());
    work.after?.();
  };
  await runOnce();
  times.length = 0;
  seen.length = 0;
  const end = performance.now() + 1000 * seconds;
  while (times.length < samples || performance.now() < end) await runOnce();

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

export const median = (values: readonly number[]) => quantile(values, 0.5);

/** The value below which this share of the values lies, interpolated: `quantile([1, 2, 4], 0.75)` is 3. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!];
  return below + (place - Math.floor(place)) * (above - below);
}
