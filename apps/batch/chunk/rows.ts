/** Rows of results, one for each image. */
import { Florence2Error, type Result } from "florence2-webgpu";
import type { Item, RunPlan } from "../plan/plan.ts";

/** One row for each image, always. It holds no times, so that the same work makes the same bytes. */
export type Row = {
  readonly key: string;
  readonly task: string;
  readonly model: string;
  /** The text or region of the question, if it belongs to the image alone. */
  readonly about?: Pick<Item, "text" | "region">;
} & (
  | {
      readonly status: "ok";
      /** In the shape of Microsoft's processor. */
      readonly answer: unknown;
      /** For people. */
      readonly text: string;
      readonly rawText: string;
      readonly objects: Result["objects"];
      readonly score: number;
      /** Of the image as seen, in pixels. */
      readonly width: number;
      readonly height: number;
      readonly tokens: readonly number[];
      readonly finishReason: "stop" | "length";
      /** Of the image file. */
      readonly bytes?: number;
    }
  | { readonly status: "error"; readonly error: { readonly code: string; readonly message: string } }
);

/** After these nothing works any more on this machine; all other errors belong to one image. */
const FATAL: readonly string[] = [
  ...["gpu_lost", "gpu_invalid", "gpu_out_of_memory", "gpu_unavailable"],
  ...["cpu_out_of_memory", "cpu_failed", "disposed", "dependency_missing"],
];

export const isFatal = (error: unknown): boolean =>
  error instanceof Florence2Error && FATAL.includes(error.code);

export function rowOf(plan: RunPlan, item: Item, found: Result | Florence2Error): Row {
  if (found instanceof Florence2Error) {
    if (isFatal(found)) throw found;
    // The cause has the message without the number of the image in its batch, which is chance.
    const { code, message } = found.cause instanceof Florence2Error ? found.cause : found;
    return errorRow(plan, item, code, message);
  }
  const { answer, text, rawText, objects, score, width, height, tokens, finishReason } = found;
  return {
    ...headOf(plan, item),
    status: "ok",
    answer,
    text,
    rawText,
    objects,
    score,
    width,
    height,
    tokens,
    finishReason,
    ...(item.size !== undefined && { bytes: item.size }),
  };
}

export function errorRow(plan: RunPlan, item: Item, code: string, message: string): Row {
  return { ...headOf(plan, item), status: "error", error: { code, message } };
}

function headOf({ task, model, revision }: RunPlan, { key, text, region }: Item) {
  const about = { ...(text !== undefined && { text }), ...(region !== undefined && { region }) };
  const isAsked = Object.keys(about).length > 0;
  return { key, task, model: `${model}@${revision}`, ...(isAsked && { about }) };
}
