/** The worker that holds a model: the page stays quick while it computes. */
import { cachedModels, deleteCachedModel } from "florence2-webgpu/browser";
import type { FromWorker, ToWorker, WorkerEvent } from "../page/engines/protocol.ts";
import { HeldModel } from "./held_model.ts";

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<ToWorker>) => void;
  postMessage(message: FromWorker): void;
};
const running = new Map<number, AbortController>();
let held: HeldModel | undefined;

scope.onmessage = ({ data }) => {
  if (data.call === "cancel") running.get(data.id)?.abort();
  else void answer(data);
};

async function answer(message: Exclude<ToWorker, { call: "cancel" }>): Promise<void> {
  const { id } = message;
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const tell = (event: WorkerEvent) => scope.postMessage({ id, event });
    scope.postMessage({ id, value: await perform(message, tell, controller.signal) });
  } catch (error) {
    const { code, message: text } = error as { code?: unknown; message?: unknown };
    const told = { code: typeof code === "string" ? code : "unexpected", message: String(text ?? error) };
    scope.postMessage({ id, error: told });
  } finally {
    running.delete(id);
  }
}

async function perform(
  message: Exclude<ToWorker, { call: "cancel" }>,
  tell: (event: WorkerEvent) => void,
  signal: AbortSignal,
): Promise<unknown> {
  switch (message.call) {
    case "load":
      held = await HeldModel.load(message.argument, tell, signal);
      return held.facts;
    case "ask":
      return held!.ask(message.argument, tell, signal);
    case "cachedModels":
      return cachedModels();
    case "deleteCachedModel":
      return deleteCachedModel(message.argument);
  }
}
