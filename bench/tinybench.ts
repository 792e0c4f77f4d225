import { Bench } from "tinybench";
import type { Sampler } from "../measure/timing.ts";

/** Samples by tinybench. */
export const sampleByTinybench: Sampler = async ({ run, before, after }, { seconds, samples }) => {
  const bench = new Bench({
    time: 1000 * seconds,
    iterations: samples,
    warmupIterations: 1,
    warmupTime: 0,
    retainSamples: true,
    throws: true,
  });
  bench.add("work", run, { async: true, beforeEach: before, afterEach: after });
  const [task] = await bench.run();
  if (task?.result.state !== "completed") throw new Error(`The measurement is ${task?.result.state}`);
  return task.result.latency.samples!;
};
