/** What a visitor reads when something fails, and what the page offers to do. */
import type { Failure } from "./failure.ts";

export type Remedy = "retry" | "use-cpu" | "use-small" | "use-bundled" | "use-browser" | "choose-model";

export const REMEDIES: Readonly<Record<Remedy, string>> = {
  retry: "Try again",
  "use-cpu": "Compute on the CPU",
  "use-small": "Load it with 8-bit weights",
  "use-bundled": "Use the bundled model",
  "use-browser": "Compute in this browser",
  "choose-model": "Choose a model",
};

export interface Advice {
  readonly title: string;
  readonly text: string;
  readonly remedies: readonly Remedy[];
}

type Written = (failure: Failure) => Advice;

const advice = (title: string, text: string | undefined, ...remedies: Remedy[]): Written => {
  return ({ message }) => ({ title, text: text ?? message, remedies });
};

const WRITTEN: Readonly<Record<string, Written>> = {
  gpu_unavailable: advice(
    "This browser has no GPU for the model",
    "WebGPU is in Chrome and Edge from version 113, in Safari from 26, and in Firefox where it is switched on; the page has to come from https: or from this machine. The CPU computes the same answers.",
    "use-cpu",
  ),
  gpu_lost: advice(
    "The GPU was lost",
    "The driver was reset, or another program needed the GPU. Load the model again; if it happens again, compute on the CPU.",
    "retry",
    "use-cpu",
  ),
  gpu_out_of_memory: advice(
    "The GPU has too little memory",
    "Weights in 8 bits take about half the memory of 32 bits; the base model takes less than the large one.",
    "use-small",
    "choose-model",
    "use-bundled",
  ),
  cpu_out_of_memory: advice(
    "There is too little memory",
    "Weights in 8 bits take less; the base model takes less than the large one. Close other tabs.",
    "use-small",
    "choose-model",
    "use-bundled",
  ),
  cpu_failed: advice("The CPU engine stopped", undefined, "retry"),
  worker_failed: advice("The model's worker stopped", undefined, "retry"),
  download_failed: advice(
    "The model could not be downloaded",
    undefined,
    "retry",
    "use-bundled",
    "choose-model",
  ),
  repository_not_found: advice("There is no such model", undefined, "choose-model", "use-bundled"),
  access_denied: advice("The hub wants to know who asks", undefined, "choose-model", "use-bundled"),
  offline: advice(
    "This machine is off line",
    "The model has to be downloaded once; after that it works without a network. The bundled model is here already.",
    "retry",
    "use-bundled",
  ),
  server_unreachable: advice(
    "The server does not answer",
    "Is it running, and is its address right? A server of another origin has to list this page's with --cors-origin. Or compute here.",
    "retry",
    "choose-model",
    "use-browser",
  ),
  no_server: advice("There is no florence2-server", undefined, "choose-model", "use-browser"),
  invalid_api_key: advice("The server wants a key", undefined, "choose-model", "use-browser"),
  origin_not_allowed: advice("The server refuses this page", undefined, "choose-model", "use-browser"),
  server_overloaded: advice("The server is busy", "Its queue is full. Try again in a moment.", "retry"),
  deadline_exceeded: advice("The server took too long", undefined, "retry", "use-browser"),
  image_too_large: advice("The picture is too large", undefined),
  image_unsupported: advice("The picture cannot be opened", undefined),
  image_corrupt: advice("The picture is damaged", undefined),
  invalid_image: advice("The picture cannot be opened", undefined),
  image_unreachable: advice("The picture cannot be fetched", undefined),
};

/** Kinds of files that are no model. */
const NO_MODEL = /^(file_|safetensors_|pytorch_|checkpoint_|config_|tokenizer_)/;

/** The advice for a failure; of codes without words of their own, what the failure says. */
export function adviceFor(failure: Failure, isOnline = true): Advice {
  if (failure.code === "download_failed" && !isOnline) return WRITTEN.offline!(failure);
  const written = WRITTEN[failure.code];
  if (written) return written(failure);
  const { message } = failure;
  if (NO_MODEL.test(failure.code))
    return { title: "This is no Florence-2 model", text: message, remedies: ["choose-model", "use-bundled"] };
  return { title: "That did not work", text: `${message} (${failure.code})`, remedies: ["retry"] };
}

/** Failures after which the model cannot answer any more. */
export const isFatal = ({ code }: Failure): boolean =>
  [
    "gpu_lost",
    "gpu_out_of_memory",
    "cpu_out_of_memory",
    "cpu_failed",
    "worker_failed",
    "disposed",
    "closed",
  ].includes(code);
