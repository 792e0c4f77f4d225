/** The public surface of `florence2-batch`. */
export type { BatchModel, LoadItem } from "./chunk/compute.ts";
export type { Row } from "./chunk/rows.ts";
export { batch } from "./commands/batch.ts";
export { stopOnSignals } from "./commands/signals.ts";
export { findItems } from "./inputs/find_items.ts";
export { type Item, planRun, type RunPlan, type RunSettings, readPlan } from "./plan/plan.ts";
export { finishRun, type Manifest, readRows } from "./results/manifest.ts";
export { type RunStatus, statusOf } from "./results/status.ts";
export { openStorage, type Storage } from "./storage/storage.ts";
export type { OpenModel } from "./work/open_model.ts";
export { ownProgram } from "./work/probe.ts";
