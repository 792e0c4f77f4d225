/** The process of one contestant: opens it when asked to, then answers as often as asked. */
import { readFileSync } from "node:fs";
import { type ErrorCode, Florence2Error } from "../../core/errors.ts";
import { openBefore } from "./before.ts";
import type { Caption, Contestant, ContestantName, Question } from "./contestant.ts";
import { openOnnxRuntime } from "./onnxruntime.ts";
import { openOurs } from "./ours.ts";
import { openPyTorch } from "./pytorch.ts";
import { openTransformersJs } from "./transformers_js.ts";

export type Request = { readonly open: ContestantName; readonly question: Question } | "caption";
export type Reply =
  | { readonly opened: string; readonly ms: number; readonly isRounded: boolean }
  | { readonly caption: Caption; readonly peakBytes: number }
  | { readonly error: string; readonly code: ErrorCode };

const OPEN: Readonly<Record<ContestantName, (question: Question) => Promise<Contestant>>> = {
  ours: (question) => openOurs(question, { device: "gpu", dtype: question.dtype }),
  "CPU engine, f32": (question) => openOurs(question, { device: "cpu", dtype: "f32" }),
  "CPU engine, f16": (question) => openOurs(question, { device: "cpu", dtype: "f16" }),
  "CPU engine, q8": (question) => openOurs(question, { device: "cpu", dtype: "q8" }),
  "software Vulkan of before": openBefore,
  "ONNX Runtime, WebGPU": (question) => openOnnxRuntime("webgpu", question),
  "ONNX Runtime, CPU": (question) => openOnnxRuntime("cpu", question),
  "ONNX Runtime, WASM": (question) => openOnnxRuntime("wasm", question),
  "transformers.js, CPU": openTransformersJs,
  "PyTorch, CPU": (question) => openPyTorch(question, { device: "cpu", compiled: false }),
  "PyTorch, CUDA, eager": (question) => openPyTorch(question, { device: "cuda", compiled: false }),
  "PyTorch, CUDA, compiled": (question) => openPyTorch(question, { device: "cuda", compiled: true }),
};

let contestant: Contestant | undefined;

async function answer(request: Request): Promise<Reply> {
  if (request === "caption") {
    const caption = await contestant!.caption();
    return { caption, peakBytes: contestant!.peakBytes?.() ?? peakBytes() };
  }
  const start = performance.now();
  contestant = await OPEN[request.open](request.question);
  const { version, loadMs, isRounded = false } = contestant;
  return { opened: version, ms: loadMs ?? performance.now() - start, isRounded };
}

/** The most memory that this program had; Linux counts that of the process it was forked from otherwise. */
function peakBytes(): number {
  if (process.platform !== "linux") return process.resourceUsage().maxRSS * 1024;
  return Number(/VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]) * 1024;
}

process.on("message", (request: Request) => {
  answer(request)
    .catch((error: Error): Reply => {
      const code = error instanceof Florence2Error ? error.code : "dependency_missing";
      return { error: error.message, code };
    })
    .then((reply) => process.send!(reply));
});
