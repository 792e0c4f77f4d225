/**
 * The program of the engine's threads: they all run the same list of calls, in rounds of calls that are joined, each a
 * share of every round's units, and wait for each other between rounds. scripts/compile_kernels.mjs makes one text of it, which `workers.ts` starts.
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
    readonly scratch: number;
    /** Its units among those of the round. */
    readonly from: number;
    readonly to: number;
  }
  interface Round {
    /** The index of the first call in the list. */
    readonly first: number;
    readonly calls: Prepared[];
    readonly counter: number;
    units: number;
  }

  let exports: Record<string, unknown> = {};
  let memory: WebAssembly.Memory;
  let control: Int32Array;
  let threads = 1;
  const programs = new Map<number, Round[]>();

  const onMessage = (port: Port, message: ToWorker) => {
    if (message.type === "start") {
      ({ memory, control, threads } = message);
      exports = new WebAssembly.Instance(message.module, { env: { memory } }).exports;
      setGlobal("local", message.local);
      port.postMessage({ type: "ready" });
    } else if (message.type === "program") programs.set(message.id, roundsOf(message.calls));
    else if (message.type === "forget") programs.delete(message.id);
    else {
      const rounds = programs.get(message.id)!;
      const times: CallTime[] = [];
      const error = run(rounds, message.times, message.scratch, message.timed ? times : undefined);
      port.postMessage({ type: "done", error, times });
    }
  };

  const setGlobal = (name: string, value: number) => {
    (exports[name] as WebAssembly.Global).value = value;
  };

  const roundsOf = (calls: readonly CompiledCall[]): Round[] => {
    const rounds: Round[] = [];
    for (const [first, { name, args, units, counter, isJoined, scratch = 0 }] of calls.entries()) {
      if (!isJoined) rounds.push({ first, calls: [], counter, units: 0 });
      const round = rounds[rounds.length - 1]!;
      const [from, to] = [round.units, round.units + units];
      round.calls.push({ kernel: exports[name] as Kernel, args: [...args], scratch, from, to });
      round.units = to;
    }
    return rounds;
  };

  const run = (
    rounds: readonly Round[],
    times: number,
    scratch: number,
    took?: CallTime[],
  ): string | undefined => {
    let failure: string | undefined;
    let index = -1;
    let started = 0;
    for (;;) {
      const before = index;
      index = meet(rounds, times, index);
      if (took) {
        const now = performance.now();
        if (before >= 0) took.push({ call: rounds[before % rounds.length]!.first, ms: now - started });
        started = now;
      }
      if (index === DONE) return failure;
      try {
        share(rounds[index % rounds.length]!, scratch);
      } catch (error) {
        failure = String(error);
        Atomics.store(control, CONTROL.stop, 1);
      }
    }
  };

  /** This thread's share of a round: some units at a time, until none are left. */
  const share = ({ calls, units }: Round, scratch: number) => {
    // Small enough that no thread waits long for the last one.
    const chunk = Math.ceil(units / (threads === 1 ? 1 : 8 * threads));
    let call = 0;
    for (;;) {
      const begin = Atomics.add(control, CONTROL.unit, chunk);
      if (begin >= units) return;
      const end = Math.min(begin + chunk, units);
      while (calls[call]!.to <= begin) call++;
      for (let next = call; next < calls.length && calls[next]!.from < end; next++) {
        const { kernel, args, scratch: at, from, to } = calls[next]!;
        setGlobal("scratch", scratch + at);
        kernel(...args, Math.max(begin, from) - from, Math.min(end, to) - from);
      }
    }
  };

  /** Waits until all threads have done round `index`; tells which is next. The last one to arrive decides that. */
  const meet = (rounds: readonly Round[], times: number, index: number): number => {
    const round = Atomics.load(control, CONTROL.round);
    if (Atomics.add(control, CONTROL.arrived, 1) === threads - 1) {
      Atomics.store(control, CONTROL.arrived, 0);
      Atomics.store(control, CONTROL.unit, 0);
      Atomics.store(control, CONTROL.next, after(rounds, times, index));
      Atomics.add(control, CONTROL.round, 1);
      Atomics.notify(control, CONTROL.round);
    } else {
      for (let look = 0; Atomics.load(control, CONTROL.round) === round; look++) {
        if (look >= LOOKS) Atomics.wait(control, CONTROL.round, round);
      }
    }
    return Atomics.load(control, CONTROL.next);
  };

  const after = (rounds: readonly Round[], times: number, index: number): number => {
    if (Atomics.load(control, CONTROL.stop) !== 0) return DONE;
    const words = new Int32Array(memory.buffer);
    for (let next = index + 1; next < rounds.length * times; next++) {
      const { counter } = rounds[next % rounds.length]!;
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
