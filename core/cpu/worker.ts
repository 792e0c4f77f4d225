/**
 * The program of the engine's threads. They all have the same list of calls, in rounds of calls that are joined. The
 * first thread goes through the rounds; the others take units of those that last long enough to be worth it.
 * scripts/compile_kernels.mjs makes one text of it, which `start_thread.ts` starts.
 */

import { type CallTime, CONTROL, type CompiledCall, type FromWorker, type ToWorker } from "./protocol.ts";

interface Port {
  postMessage(message: FromWorker): void;
}

const DONE = -1;
/** Rounds are counted twice, when they are opened and when they are closed. */
const isOpen = (round: number) => (round & 1) === 1;
/** How often a thread looks for what it waits for before it sleeps. */
const LOOKS = 2000;
/** A round that takes less than this is over before another thread has helped. Milliseconds. */
const SHORT_MS = 0.02;

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
    /** Whether it was short when it last ran: the first thread then does it alone. */
    isShort: boolean;
  }
  type Run = Extract<ToWorker, { type: "run" }>;

  let exports: Record<string, unknown> = {};
  let memory: WebAssembly.Memory;
  let control: Int32Array;
  let threads = 1;
  let isFirst = false;
  const programs = new Map<number, Round[]>();

  const onMessage = (port: Port, message: ToWorker) => {
    if (message.type === "start") {
      ({ memory, control, threads, isFirst } = message);
      exports = new WebAssembly.Instance(message.module, { env: { memory } }).exports;
      setGlobal("local", message.local);
      port.postMessage({ type: "ready" });
    } else if (message.type === "program") programs.set(message.id, roundsOf(message.calls));
    else if (message.type === "forget") programs.delete(message.id);
    else if (isFirst) {
      const times: CallTime[] = [];
      const error = lead(programs.get(message.id)!, message, message.timed ? times : undefined);
      port.postMessage({ type: "done", error, times });
    } else {
      const error = help(programs.get(message.id)!, message);
      if (error !== undefined) port.postMessage({ type: "failed", error });
    }
  };

  const setGlobal = (name: string, value: number) => {
    (exports[name] as WebAssembly.Global).value = value;
  };

  const roundsOf = (calls: readonly CompiledCall[]): Round[] => {
    const rounds: Round[] = [];
    for (const [first, { name, args, units, counter, isJoined, scratch = 0 }] of calls.entries()) {
      if (!isJoined) rounds.push({ first, calls: [], counter, units: 0, isShort: false });
      const round = rounds[rounds.length - 1]!;
      const [from, to] = [round.units, round.units + units];
      round.calls.push({ kernel: exports[name] as Kernel, args: [...args], scratch, from, to });
      round.units = to;
    }
    return rounds;
  };

  /**
   * What the first thread does of a run: it goes through the rounds, opens the long ones to the others, and waits for
   * those alone that have taken units.
   */
  const lead = (
    rounds: readonly Round[],
    { run, times, scratch }: Run,
    took: CallTime[] | undefined,
  ): string | undefined => {
    let failure: string | undefined;
    for (let index = after(rounds, times, -1); index !== DONE; index = after(rounds, times, index)) {
      const round = rounds[index % rounds.length]!;
      const isShared = threads > 1 && round.units > 1 && !round.isShort;
      const start = performance.now();
      try {
        if (isShared) {
          open(index);
          share(round, scratch);
        } else compute(round, scratch, 0, round.units);
      } catch (error) {
        failure = String(error);
        Atomics.store(control, CONTROL.stop, 1);
      }
      if (isShared) close();
      const ms = performance.now() - start;
      round.isShort = ms < (isShared ? SHORT_MS : 2 * SHORT_MS);
      took?.push({ call: round.first, ms });
    }
    Atomics.store(control, CONTROL.ended, run);
    Atomics.add(control, CONTROL.round, 2);
    Atomics.notify(control, CONTROL.round);
    return failure;
  };

  const open = (index: number) => {
    Atomics.store(control, CONTROL.unit, 0);
    Atomics.store(control, CONTROL.index, index);
    Atomics.add(control, CONTROL.round, 1);
    if (Atomics.load(control, CONTROL.asleep) > 0) Atomics.notify(control, CONTROL.round);
  };

  /** Lets nobody join the round any more, and waits for those who have. */
  const close = () => {
    Atomics.add(control, CONTROL.round, 1);
    for (let look = 0; ; look++) {
      const busy = Atomics.load(control, CONTROL.busy);
      if (busy === 0) return;
      if (look >= LOOKS) Atomics.wait(control, CONTROL.busy, busy);
    }
  };

  /** What the other threads do of a run: they join its open rounds until it has ended. */
  const help = (rounds: readonly Round[], { run, scratch }: Run): string | undefined => {
    let failure: string | undefined;
    let done = 0;
    for (let look = 0; ; look++) {
      const round = Atomics.load(control, CONTROL.round);
      // Not "at least": the numbers of runs may overflow.
      if (((Atomics.load(control, CONTROL.ended) - run) | 0) >= 0) return failure;
      if (isOpen(round) && round !== done) {
        Atomics.add(control, CONTROL.busy, 1);
        // From here on the first thread waits before it opens another one.
        if (Atomics.load(control, CONTROL.round) === round) {
          try {
            share(rounds[Atomics.load(control, CONTROL.index) % rounds.length]!, scratch);
          } catch (error) {
            failure = String(error);
            Atomics.add(control, CONTROL.failed, 1);
            Atomics.store(control, CONTROL.stop, 1);
          }
        }
        if (Atomics.sub(control, CONTROL.busy, 1) === 1) Atomics.notify(control, CONTROL.busy);
        done = round;
        look = 0;
      } else if (look >= LOOKS) {
        Atomics.add(control, CONTROL.asleep, 1);
        Atomics.wait(control, CONTROL.round, round);
        Atomics.sub(control, CONTROL.asleep, 1);
        look = 0;
      }
    }
  };

  /** A thread's share of a round: some units at a time, until none are left. */
  const share = (round: Round, scratch: number) => {
    for (;;) {
      // Fewer and fewer, so that no thread waits long for the last one.
      const left = round.units - Atomics.load(control, CONTROL.unit);
      const chunk = Math.max(1, Math.ceil(left / (4 * threads)));
      const begin = Atomics.add(control, CONTROL.unit, chunk);
      if (begin >= round.units) return;
      compute(round, scratch, begin, Math.min(begin + chunk, round.units));
    }
  };

  const compute = ({ calls }: Round, scratch: number, begin: number, end: number) => {
    for (const { kernel, args, scratch: at, from, to } of calls) {
      if (to <= begin) continue;
      if (from >= end) return;
      setGlobal("scratch", scratch + at);
      kernel(...args, Math.max(begin, from) - from, Math.min(end, to) - from);
    }
  };

  /** The round of a run that comes after another; DONE at the end. */
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
