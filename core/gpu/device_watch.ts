import { Florence2Error } from "../errors.ts";

type Listener = (failure: Florence2Error) => void;

interface Watch {
  readonly listeners: Set<Listener>;
  /** Once the device is lost. */
  lost?: Florence2Error;
}

/** One for each device: `device.lost` keeps whoever waits for it, as long as the device lives. */
const watches = new WeakMap<GPUDevice, Watch>();

/**
 * Tells of the loss of a device (`gpu_lost`) and of errors that no scope caught (`gpu_invalid`), until the function
 * that it returns is called. Nothing of the listener stays with a device that outlives it.
 */
export function watchDevice(device: GPUDevice, listener: Listener): () => void {
  const { listeners, lost } = watches.get(device) ?? startWatching(device);
  listeners.add(listener);
  if (lost) listener(lost);
  return () => listeners.delete(listener);
}

function startWatching(device: GPUDevice): Watch {
  const watch: Watch = { listeners: new Set() };
  const tell: Listener = (failure) => {
    for (const listener of watch.listeners) listener(failure);
  };
  device.lost.then(({ reason, message }) => {
    watch.lost = new Florence2Error("gpu_lost", `The GPU was lost (${reason}): ${message}`, { reason });
    tell(watch.lost);
  });
  device.addEventListener("uncapturederror", ({ error }) =>
    tell(new Florence2Error("gpu_invalid", `The GPU reports: ${error.message}`)),
  );
  watches.set(device, watch);
  return watch;
}
