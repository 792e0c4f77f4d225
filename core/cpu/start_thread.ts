import type { Thread, ThreadListeners } from "./protocol.ts";

/**
 * Starts a thread in Node, and in Deno and Bun, which have its module. Browsers get `start_thread.browser.ts`.
 *
 * @param program JavaScript
 */
export async function startThread(program: string, { onMessage, onEnd }: ThreadListeners): Promise<Thread> {
  const { Worker } = await import("node:worker_threads");
  const worker = new Worker(program, { eval: true, name: "florence2-webgpu" });
  worker.on("message", onMessage);
  worker.on("error", (error) => onEnd(String(error)));
  worker.on("exit", (code) => onEnd(`exit ${code}`));
  return {
    post: (message) => worker.postMessage(message),
    hold: (busy) => (busy ? worker.ref() : worker.unref()),
    end: () => void worker.terminate(),
  };
}
