/** What the page and its worker say to each other. */
import type { CachedModel, ProgressEvent } from "florence2-webgpu/browser";
import type { ModelFacts, Question, Reply } from "./engine.ts";

/** A model, and how to compute with it. */
export interface ModelChoice {
  /** A repository of a hub, or the URL of a folder. */
  readonly source: string;
  readonly device: "auto" | "gpu" | "cpu";
  readonly dtype: "auto" | "f32" | "f16" | "q8" | "q4";
  readonly revision?: string;
  /** The hub's address, where it is not the usual one. */
  readonly endpoint?: string;
}

/** Calls of the page, by name: what they take and give. */
export interface Calls {
  load: { takes: ModelChoice; gives: Omit<ModelFacts, "model"> };
  ask: { takes: { imageId: string; image: Blob; question: Question }; gives: Omit<Reply, "warnings"> };
  cachedModels: { takes: undefined; gives: CachedModel[] };
  deleteCachedModel: { takes: string; gives: undefined };
}

export type ToWorker =
  | { [N in keyof Calls]: { call: N; id: number; argument: Calls[N]["takes"] } }[keyof Calls]
  | { readonly call: "cancel"; readonly id: number };

/** What happens while a call is answered. */
export type WorkerEvent =
  | { readonly type: "progress"; readonly event: ProgressEvent }
  | { readonly type: "warning"; readonly message: string }
  | { readonly type: "looked" }
  | { readonly type: "text"; readonly text: string; readonly tokens: number };

export type FromWorker =
  | { readonly id: number; readonly event: WorkerEvent }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { readonly code: string; readonly message: string } };
