/** What the main thread and the engine's threads say to each other. */

/** One call of a compiled kernel, or of its first pass. */
export interface CompiledCall {
  /** Of the export. */
  readonly name: string;
  readonly args: readonly number[];
  readonly units: number;
  /** Where the word is that must not be 0; 0 if the call always works. */
  readonly counter: number;
  /** Whether it may run at the same time as the call before it, which has the same counter. */
  readonly isJoined?: boolean;
  /** Where its scratch memory begins in that of the run. */
  readonly scratch?: number;
}

/** Words of the control block that all threads share. */
export const CONTROL = {
  /** Changes when a round of calls is opened, which makes it odd, and when it is closed. */
  round: 0,
  /** The open round, counted over the whole run. */
  index: 1,
  /** Units of the open round that were handed out. */
  unit: 2,
  /** Threads beside the first that are in the open round. */
  busy: 3,
  /** Threads that wait for `round` to change, and have to be woken. */
  asleep: 4,
  /** The number of the last run that has ended. */
  ended: 5,
  /** Threads beside the first in which a kernel of this run failed. */
  failed: 6,
  /** Set to end the run before its next round. */
  stop: 7,
} as const;

export type ToWorker =
  | {
      readonly type: "start";
      readonly module: WebAssembly.Module;
      readonly memory: WebAssembly.Memory;
      readonly control: Int32Array;
      readonly threads: number;
      /** The first thread leads the others. */
      readonly isFirst: boolean;
      /** Where this thread's own memory begins. */
      readonly local: number;
    }
  | { readonly type: "program"; readonly id: number; readonly calls: readonly CompiledCall[] }
  | { readonly type: "forget"; readonly id: number }
  | {
      readonly type: "run";
      readonly id: number;
      /** Its number: runs are counted from 1. */
      readonly run: number;
      readonly times: number;
      readonly scratch: number;
      /** Whether to tell how long each call took. */
      readonly timed: boolean;
    };

export type FromWorker =
  | { readonly type: "ready" }
  /** From the first thread, when a run has ended. */
  | { readonly type: "done"; readonly error?: string; readonly times: readonly CallTime[] }
  /** From another one in which a kernel failed. */
  | { readonly type: "failed"; readonly error: string };

/** How long a call took, with those that are joined to it, by its index in the list. */
export interface CallTime {
  readonly call: number;
  readonly ms: number;
}

/** One thread, in whichever way the runtime makes them. */
export interface Thread {
  post(message: ToWorker): void;
  /** Whether the process waits for it. */
  hold(busy: boolean): void;
  end(): void;
}

export interface ThreadListeners {
  readonly onMessage: (message: FromWorker) => void;
  readonly onEnd: (reason: string) => void;
}
