import { isNode } from "../platform.ts";

/** Milliseconds that the thread sleeps at most. */
const LONGEST_NAP = 5;
/** Of the time waited so far, so that no answer is late by more than this share. */
const NAP_SHARE = 0.1;

/**
 * Waits for a software device. While something is due, Dawn in Node asks for it in every turn of the event loop,
 * without rest; where the processor is the device, asking takes half of the time of whoever computes the answer.
 * So the thread sleeps in between.
 */
export async function waitPatiently<T>(answer: Promise<T>): Promise<T> {
  if (!isNode) return answer;
  const neverWoken = new Int32Array(new SharedArrayBuffer(4));
  const start = performance.now();
  let isDue = true;
  const nap = () => {
    if (!isDue) return;
    Atomics.wait(neverWoken, 0, 0, Math.min(NAP_SHARE * (performance.now() - start), LONGEST_NAP));
    setImmediate(nap);
  };
  setImmediate(nap);
  try {
    return await answer;
  } finally {
    isDue = false;
  }
}
