/**
 * An engine of florence2-server without a model, whose answer is the prompt. FAKE_MS: milliseconds an answer. The text
 * "poison" ends the process, "gate..." waits at the gate FAKE_GATE (`gate.ts`).
 */
import { setTimeout as wait } from "node:timers/promises";
import { passGate } from "./worker_model.mjs";

const milliseconds = Number(process.env.FAKE_MS ?? 2);

export const fakeEngine = {
  device: { kind: "cpu", name: "none" },
  memoryBytes: 0,
  encode: async () => ({ width: 8, height: 8, tokens: 4, bytes: 100, dispose() {} }),
  check() {},
  async run(_, { task, text }, signal) {
    if (text === "poison") process.kill(process.pid, "SIGKILL");
    if (text?.startsWith("gate")) await passGate(signal);
    await wait(milliseconds, undefined, { signal });
    const answer = `${task}${text ?? ""}`;
    const own = { answer, text: answer, objects: [], tokens: [], tokenCount: 3, score: -0.1 };
    return { promptTokens: 5, imageTokens: 4, sequences: [{ ...own, finishReason: "stop" }] };
  },
  dispose() {},
};
