import { Florence2Error } from "florence2-webgpu";
import type { Answered, EncodedImage, Engine, Question } from "../../index.ts";

export interface FakeEngine extends Engine {
  /** Milliseconds that an answer takes; all that wait are answered together. */
  milliseconds: number;
  /** Questions that were begun, and those that were ended by their signal. */
  readonly asked: Question[];
  aborted: number;
  encoded: number;
  freed: number;
  isDisposed: boolean;
  /** The code with which the next question ends the device; "" for none. */
  loseDevice: "" | "gpu_lost" | "cpu_failed";
  /** Lets no answer end before the result is called. */
  hold(): () => void;
  /** Streams break after their first part. */
  breakStreams: boolean;
}

/** An engine that answers without a model: it says the task, after a while. */
export function fakeEngine(milliseconds = 5): FakeEngine {
  let held: Promise<void> = Promise.resolve();
  const wait = (signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        engine.aborted++;
        reject(signal.reason);
      };
      const timer = setTimeout(async () => {
        await held;
        signal.removeEventListener("abort", leave);
        resolve();
      }, engine.milliseconds);
      if (signal.aborted) leave();
      else signal.addEventListener("abort", leave, { once: true });
    });
  const answer = ({ task, text }: Question): Answered => ({
    promptTokens: 12,
    imageTokens: 10,
    sequences: [
      {
        answer: `The answer to ${task}${text ?? ""}`,
        objects: [],
        text: `The answer to ${task}${text ?? ""}`,
        tokens: [{ text: "The", logProb: -0.5 }],
        tokenCount: 4,
        score: -0.1,
        finishReason: "stop",
      },
    ],
  });
  const engine: FakeEngine = {
    device: { kind: "cpu", name: "fake" },
    memoryBytes: 0,
    milliseconds,
    asked: [],
    aborted: 0,
    encoded: 0,
    freed: 0,
    isDisposed: false,
    loseDevice: "",
    breakStreams: false,
    hold() {
      let release = () => {};
      held = new Promise((resolve) => {
        release = resolve;
      });
      return release;
    },
    async encode(file, signal): Promise<EncodedImage> {
      await wait(signal);
      if (file[0] !== 0x89)
        throw new Florence2Error("image_unsupported", "The image is of an unknown format.");
      engine.encoded++;
      return { width: 192, height: 192, tokens: 10, bytes: 1000, dispose: () => void engine.freed++ };
    },
    check({ task }) {
      if (/^<[^>]*>$/.test(task) && !/^<(OD|CAPTION|OCR)>$/.test(task))
        throw new Florence2Error("task_invalid", `unknown task ${task}`);
    },
    async run(_image, question, signal) {
      engine.asked.push(question);
      if (engine.loseDevice) {
        const code = engine.loseDevice;
        engine.loseDevice = "";
        throw new Florence2Error(code, "the device was lost");
      }
      await wait(signal);
      return answer(question);
    },
    async *stream(_image, question, signal) {
      engine.asked.push(question);
      for (const text of ["The answer", " to ", question.task]) {
        await wait(signal);
        yield { text };
        if (engine.breakStreams) throw new Error("at 10.0.0.1 in /secret/path");
      }
      yield { text: "", answered: answer(question) };
    },
    dispose() {
      engine.isDisposed = true;
    },
  };
  return engine;
}
