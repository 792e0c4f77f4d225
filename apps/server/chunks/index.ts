/**
 * Work in chunks: at least once, with results exactly once. What `/v1/batches` and `florence2-batch` have in common: a
 * queue of chunks, files that are whole or not there, and the checkpoint of a chunk.
 */
export { codeOf, createWhole, UNFINISHED, writeWhole } from "../files/durable.ts";
export { makeFolder } from "../files/make_folder.ts";
export { Checkpoint, type Deaths } from "./checkpoint.ts";
export { chunkJob, connectQueue, hostOf, withQueue } from "./queue.ts";
export { type JobWorker, type JobWorkerOptions, NotMine, openJobWorker, rarely } from "./work_jobs.ts";
