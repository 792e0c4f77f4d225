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
  /** Threads that wait for the others. */
  arrived: 0,
  /** Changes whenever all have arrived. */
  round: 1,
  /** The round of calls that comes next in the whole run, or -1 at its end. */
  next: 2,
  /** Units of this round that were handed out. */
  unit: 3,
  /** Set to end the run before its next round. */
  stop: 4,
} as const;

export type ToWorker =
  | {
      readonly type: "start";
      readonly module: WebAssembly.Module;
      readonly memory: WebAssembly.Memory;
      readonly control: Int32Array;
      readonly threads: number;
      /** Where this thread's own memory begins. */
      readonly local: number;
    }
  | { readonly type: "program"; readonly id: number; readonly calls: readonly CompiledCall[] }
  | { readonly type: "forget"; readonly id: number }
  | {
      readonly type: "run";
      readonly id: number;
      readonly times: number;
      readonly scratch: number;
      /** Whether to tell how long each call took. */
      readonly timed: boolean;
    };

export type FromWorker =
  | { readonly type: "ready" }
  | { readonly type: "done"; readonly error?: string; readonly times: readonly CallTime[] };

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
