import type { DeviceProfile } from "../recording.ts";
import type { Engine } from "./engine.ts";
import { FORMATS } from "./panels.ts";
import type { CallList } from "./threads.ts";

/** What products of matrices reach on the engine, all threads together: 1e9 operations a second. */
export interface ProductSpeeds {
  /** In f32. */
  readonly f32: number;
  /** In whole numbers: 8-bit weights by rows that are quantised as they come. 0 where they are not exact. */
  readonly i8: number;
}

type TimedEngine = Pick<Engine, "executor" | "exports" | "form" | "threads">;

/** Tiles that a unit multiplies, and the operations of one: see `limit_products` in kernels/shared/limits.as.ts. */
const ROUNDS = 200;
const OPERATIONS = 2 * 6 * 8 * 256;
const UNITS_PER_THREAD = 16;
/** By then an engine that compiles in two steps has replaced what it compiled at first. */
const LEAST_MS = 60;
const LEAST_TRIALS = 8;
/** Products in whole numbers also have to quantise rows: they are taken from this ratio on. */
const WORTH_IT = 1.25;

/** By form of the kernels and number of threads. */
const known = new Map<string, Promise<ProductSpeeds>>();

/** Times both kinds of products, once in a process; takes less than a tenth of a second. */
export function productSpeeds(engine: TimedEngine): Promise<ProductSpeeds> {
  const key = `${engine.form}, ${engine.threads}`;
  let speeds = known.get(key);
  if (!speeds) {
    speeds = measure(engine);
    known.set(key, speeds);
    speeds.catch(() => known.delete(key));
  }
  return speeds;
}

/** What a device's profile says of weights in i8. */
export function placeOfI8({ f32, i8 }: ProductSpeeds): DeviceProfile["i8"] {
  return i8 === 0 ? undefined : i8 > WORTH_IT * f32 ? "faster" : "slower";
}

async function measure({ executor, exports, threads }: TimedEngine): Promise<ProductSpeeds> {
  const isRight = (exports.checks_integers as () => number)() === 1;
  const units = UNITS_PER_THREAD * threads;
  const list = (format: number) =>
    executor.keep([{ name: "limit_products", args: [format, ROUNDS], units, counter: 0 }]);
  const [f32, i8] = [list(FORMATS.f32), list(FORMATS.i8)];
  const best = { f32: Number.POSITIVE_INFINITY, i8: Number.POSITIVE_INFINITY };
  const started = performance.now();
  for (let trial = 0; trial < LEAST_TRIALS || performance.now() - started < LEAST_MS; trial++) {
    best.f32 = Math.min(best.f32, await millisecondsOf(f32));
    best.i8 = Math.min(best.i8, await millisecondsOf(i8));
  }
  f32.forget();
  i8.forget();
  const speed = (ms: number) => (units * ROUNDS * OPERATIONS) / ms / 1e6;
  return { f32: speed(best.f32), i8: isRight ? speed(best.i8) : 0 };
}

async function millisecondsOf(list: CallList): Promise<number> {
  const start = performance.now();
  await list.run(1, 0);
  return performance.now() - start;
}
