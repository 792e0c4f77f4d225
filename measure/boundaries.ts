import { Recording } from "../core/recording.ts";
import type { Runner } from "../core/runner.ts";
import type { Tensor } from "../core/tensor.ts";
import { copyKernel } from "./copy.ts";
import { measure } from "./timing.ts";
import type { Observer } from "./watch.ts";

/** What it costs that one call follows another, in microseconds. */
export interface Boundaries {
  /** From the begin of a tiny call to that of the next, which reads what it wrote. */
  readonly dependentUs: number;
  /** The same where no call reads or writes what another one writes. */
  readonly independentUs: number;
  /** Time of the main thread to encode and submit one call. */
  readonly hostUs: number;
  /** From a submission of one call until its result is read back. */
  readonly roundTripUs: number;
}

/** So many calls in one pass: a difference of both leaves out what a pass costs. */
const [FEW, MANY] = [64, 512];
const ELEMENTS = 256;
const EFFORT = { seconds: 0, samples: 5 };

/** Times chains of calls that copy 1 KiB. */
export async function measureBoundaries(runner: Runner, observer: Observer): Promise<Boundaries> {
  const tensors = Array.from({ length: MANY + 1 }, (_, i) => runner.zeros(`link ${i}`, [ELEMENTS]));
  const fence = runner.zeros("fence", [1]);
  const timeOf = async (calls: number, sourceOf: (call: number) => Tensor) => {
    const recording = new Recording({ profile: runner.profile });
    for (let call = 0; call < calls; call++) copyInto(recording, sourceOf(call), tensors[call + 1]!);
    const program = await runner.prepare(recording);
    const run = async () => {
      await program.run();
      await runner.read(fence);
    };
    const measured = await measure(observer, { run }, EFFORT);
    program.dispose();
    return measured;
  };
  try {
    const chain = (call: number) => tensors[call]!;
    const apart = () => tensors[0]!;
    const [one, few, many] = [await timeOf(1, chain), await timeOf(FEW, chain), await timeOf(MANY, chain)];
    const [fewApart, manyApart] = [await timeOf(FEW, apart), await timeOf(MANY, apart)];
    const perCall = (less: typeof few, more: typeof few) =>
      (1000 * ((more.gpuMs ?? more.ms) - (less.gpuMs ?? less.ms))) / (MANY - FEW);
    return {
      dependentUs: perCall(few, many),
      independentUs: perCall(fewApart, manyApart),
      hostUs: (1000 * (many.hostMs - few.hostMs)) / (MANY - FEW),
      roundTripUs: 1000 * one.ms,
    };
  } finally {
    for (const tensor of [...tensors, fence]) runner.free(tensor);
  }
}

/** Records a copy by the kernel whose speed is the ceiling of all others. */
function copyInto(recording: Recording, x: Tensor, out: Tensor): void {
  recording.dispatch(copyKernel, { x, out }, { quads: ELEMENTS / 4 }, {});
}
