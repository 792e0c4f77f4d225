import { Florence2Error } from "../errors.ts";
import { Turns } from "../turn.ts";
import type { CompiledCall } from "./protocol.ts";
import type { CallList, Executor } from "./threads.ts";

/** Runs calls where it is called, a few units at a time: for pages whose memory no other thread may see. */
export class MainThread implements Executor {
  readonly #exports: WebAssembly.Exports;
  readonly #memory: WebAssembly.Memory;
  #disposed = false;

  constructor(exports: WebAssembly.Exports, memory: WebAssembly.Memory, local: number) {
    this.#exports = exports;
    this.#memory = memory;
    this.#set("local", local);
  }

  keep(calls: readonly CompiledCall[]): CallList {
    return {
      run: async (times, scratch, signal) => {
        const turns = new Turns();
        for (const call of Array.from({ length: times }, () => calls).flat()) {
          if (call.counter !== 0 && new Uint32Array(this.#memory.buffer, call.counter, 1)[0] === 0) continue;
          this.#set("scratch", scratch + (call.scratch ?? 0));
          for (let unit = 0; unit < call.units; unit++) {
            this.#runUnit(call, unit);
            if (!turns.areDue) continue;
            await turns.take();
            signal?.throwIfAborted();
            if (this.#disposed) throw new Florence2Error("disposed", "this runner was disposed");
          }
        }
      },
      forget: () => {},
    };
  }

  dispose(): void {
    this.#disposed = true;
  }

  #runUnit({ name, args }: CompiledCall, unit: number): void {
    try {
      (this.#exports[name] as (...args: number[]) => void)(...args, unit, unit + 1);
    } catch (cause) {
      throw new Florence2Error("cpu_failed", `A kernel of the CPU engine failed: ${cause}`, {}, cause);
    }
  }

  #set(name: string, value: number): void {
    (this.#exports[name] as WebAssembly.Global).value = value;
  }
}
