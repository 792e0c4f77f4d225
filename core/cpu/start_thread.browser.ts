import type { FromWorker, Thread, ThreadListeners } from "./protocol.ts";

/** Browsers say no reason. */
const UNLOADED =
  "its program could not be loaded; a page's Content-Security-Policy has to allow blob: in worker-src";

/**
 * Starts a thread in a browser, from a blob: bundlers need not find a file.
 *
 * @param program JavaScript
 */
export async function startThread(program: string, { onMessage, onEnd }: ThreadListeners): Promise<Thread> {
  const url = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
  try {
    const worker = new Worker(url, { name: "florence2-webgpu", type: "module" });
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => onMessage(data);
    worker.onerror = (event) => onEnd(event.message || UNLOADED);
    return {
      post: (message) => worker.postMessage(message),
      // A page ends its workers.
      hold: () => {},
      end: () => worker.terminate(),
    };
  } finally {
    // The worker has the content already.
    URL.revokeObjectURL(url);
  }
}
