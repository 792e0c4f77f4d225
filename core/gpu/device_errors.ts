import { Florence2Error } from "../errors.ts";
import { watchDevice } from "./device_watch.ts";

/**
 * The errors of a device since the last look: errors of guarded calls, errors that no scope caught, the loss
 * of the device. A lost device stays lost; any other failure is thrown once.
 */
export class DeviceErrors {
  readonly #device: GPUDevice;
  readonly #endWatch: () => void;
  #pending: Promise<void>[] = [];
  #failure: Florence2Error | undefined;

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#endWatch = watchDevice(device, (failure) => {
      if (failure.code === "gpu_lost") this.#failure = failure;
      else this.#failure ??= failure;
    });
  }

  /** Runs `body` so that its GPU errors become the next failure, with `what` as their context. */
  guard<T>(what: string, body: () => T): T {
    this.#device.pushErrorScope("out-of-memory");
    this.#device.pushErrorScope("validation");
    try {
      return body();
    } finally {
      const note = (code: "gpu_invalid" | "gpu_out_of_memory") => (error: GPUError | null) => {
        if (error)
          this.#failure ??= new Florence2Error(code, `GPU error while ${what}: ${error.message}`, { what });
      };
      // A lost device rejects its scopes; `device.lost` then says why.
      this.#pending.push(
        this.#device.popErrorScope().then(note("gpu_invalid"), () => {}),
        this.#device.popErrorScope().then(note("gpu_out_of_memory"), () => {}),
      );
    }
  }

  /** Waits for the outcome of all guarded calls. */
  async settle(): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    await Promise.all(pending);
    this.throwIfAny();
  }

  throwIfAny(): void {
    const failure = this.#failure;
    if (!failure) return;
    if (failure.code !== "gpu_lost") this.#failure = undefined;
    throw failure;
  }

  /** Nothing of this stays with the device. Resolves when it has answered the last guarded call. */
  async dispose(): Promise<void> {
    this.#endWatch();
    await Promise.all(this.#pending);
  }
}
