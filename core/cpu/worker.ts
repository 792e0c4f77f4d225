/**
 * The program of the engine's threads: they all run the same list of calls, each a share of every call's units, and
 * wait for each other between calls. scripts/compile_kernels.mjs makes one text of it, which `workers.ts` starts.
 */

import { type CallTime, CONTROL, type CompiledCall, type FromWorker, type ToWorker } from "./protocol.ts";

interface Port {
  postMessage(message: FromWorker): void;
}

const DONE = -1;
/** How often a thread looks whether the others have arrived before it sleeps. */
const LOOKS = 2000;

(async () => {
  type Kernel = (...args: number[]) => void;
  interface Prepared {
    readonly kernel: Kernel;
    readonly args: number[];
    readonly units: number;
    readonly chunk: number;
    readonly counter: number;
  }

  let exports: Record<string, unknown> = {};
  let memory: WebAssembly.Memory;
  let control: Int32Array;
  let threads = 1;
  const programs = new Map<number, Prepared[]>();

  const onMessage = (port: Port, message: ToWorker) => {
    if (message.type === "start") {
      ({ memory, control, threads } = message);
      exports = new WebAssembly.Instance(message.module, { env: { memory } }).exports;
      setGlobal("local", message.local);
      port.postMessage({ type: "ready" });
    } else if (message.type === "program") programs.set(message.id, message.calls.map(prepared));
    else if (message.type === "forget") programs.delete(message.id);
    else {
      setGlobal("scratch", message.scratch);
      const calls = programs.get(message.id)!;
      const times: CallTime[] = [];
      const error = run(calls, message.times, message.timed ? times : undefined);
      port.postMessage({ type: "done", error, times });
    }
  };

  const setGlobal = (name: string, value: number) => {
    (exports[name] as WebAssembly.Global).value = value;
  };

  const prepared = ({ name, args, units, counter }: CompiledCall): Prepared => ({
    kernel: exports[name] as Kernel,
    args: [...args],
    units,
    // Small enough that no thread waits long for the last one.
    chunk: Math.ceil(units / (threads === 1 ? 1 : 8 * threads)),
    counter,
  });

  const run = (calls: readonly Prepared[], times: number, took?: CallTime[]): string | undefined => {
    let failure: string | undefined;
    let index = -1;
    let started = 0;
    for (;;) {
      const before = index;
      index = meet(calls, times, index);
      if (took) {
        const now = performance.now();
        if (before >= 0) took.push({ call: before % calls.length, ms: now - started });
        started = now;
      }
      if (index === DONE) return failure;
      const { kernel, args, units, chunk } = calls[index % calls.length]!;
      try {
        for (;;) {
          const begin = Atomics.add(control, CONTROL.unit, chunk);
          if (begin >= units) break;
          kernel(...args, begin, Math.min(begin + chunk, units));
        }
      } catch (error) {
        failure = String(error);
        Atomics.store(control, CONTROL.stop, 1);
      }
    }
  };

  /** Waits until all threads have done call `index`; tells which is next. The last one to arrive decides that. */
  const meet = (calls: readonly Prepared[], times: number, index: number): number => {
    const round = Atomics.load(control, CONTROL.round);
    if (Atomics.add(control, CONTROL.arrived, 1) === threads - 1) {
      Atomics.store(control, CONTROL.arrived, 0);
      Atomics.store(control, CONTROL.unit, 0);
      Atomics.store(control, CONTROL.next, after(calls, times, index));
      Atomics.add(control, CONTROL.round, 1);
      Atomics.notify(control, CONTROL.round);
    } else {
      for (let look = 0; Atomics.load(control, CONTROL.round) === round; look++) {
        if (look >= LOOKS) Atomics.wait(control, CONTROL.round, round);
      }
    }
    return Atomics.load(control, CONTROL.next);
  };

  const after = (calls: readonly Prepared[], times: number, index: number): number => {
    if (Atomics.load(control, CONTROL.stop) !== 0) return DONE;
    const words = new Int32Array(memory.buffer);
    for (let next = index + 1; next < calls.length * times; next++) {
      const { counter } = calls[next % calls.length]!;
      if (counter === 0 || words[counter / 4] !== 0) return next;
    }
    return DONE;
  };

  const scope = globalThis as unknown as Port & { onmessage?: (event: { data: ToWorker }) => void };
  if (typeof process === "object" && process.versions?.node !== undefined) {
    const { parentPort } = await import("node:worker_threads");
    const port = parentPort as unknown as Port & {
      on(name: "message", listener: (m: ToWorker) => void): void;
    };
    port.on("message", (message) => onMessage(port, message));
  } else scope.onmessage = ({ data }) => onMessage(scope, data);
})();
