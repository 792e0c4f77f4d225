import { Florence2Error } from "../errors.ts";

type Listener = (failure: Florence2Error) => void;

interface Watch {
  readonly listeners: Set<Listener>;
  /** Once the device is lost. */
  lost?: Florence2Error;
}

/** One listener a device: a `then` on `device.lost` would retain every runner for the life of the device. */
const watches = new WeakMap<GPUDevice, Watch>();

/**
 * Calls the listener when the device is lost (`gpu_lost`) and for errors that no scope caught (`gpu_invalid`), until
 * the returned function is called.
 */
export function watchDevice(device: GPUDevice, listener: Listener): () => void {
  const { listeners, lost } = watches.get(device) ?? startWatching(device);
  listeners.add(listener);
  if (lost) listener(lost);
  return () => listeners.delete(listener);
}

function startWatching(device: GPUDevice): Watch {
  const watch: Watch = { listeners: new Set() };
  const notify: Listener = (failure) => {
    for (const listener of watch.listeners) listener(failure);
  };
  device.lost.then(({ reason, message }) => {
    watch.lost = new Florence2Error("gpu_lost", `The GPU was lost (${reason}): ${message}`, { reason });
    notify(watch.lost);
  });
  device.addEventListener("uncapturederror", ({ error }) =>
    notify(new Florence2Error("gpu_invalid", `The GPU reports: ${error.message}`)),
  );
  watches.set(device, watch);
  return watch;
}
