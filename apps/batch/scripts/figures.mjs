/**
 * `npm run figures --workspace apps/batch`: what the queue costs an image, how a worker compares with `runBatch`, what
 * Redis holds, what lists and merges cost, and what 1,000 workers on 100 million images would take, computed from
 * these costs. Needs redis-server; the model is the bundled one on the CPU.
 */
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Queue, Worker } from "bullmq";
import { Florence2 } from "florence2-webgpu";
import { startRedis } from "./redis.mjs";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const program = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const IMAGES = Number(process.env.FIGURES_IMAGES ?? 1024);
const JOBS = 100_000;
const CHUNK = 128;
/** Of the run that is planned, listed and merged. */
const ROWS = 256_000;
const seconds = (since) => (performance.now() - since) / 1000;

const redis = await startRedis();
const { url, memory } = redis;

try {
  const queue = await measureQueue();
  const files = await measureFiles(await measureThroughput());
  simulate(queue, files);
} finally {
  redis.stop();
}

async function measureQueue() {
  const start = memory();
  const connection = { url, maxRetriesPerRequest: null };
  const queue = new Queue("figures", { connection });
  const run = "0".repeat(64);
  const began = performance.now();
  for (let from = 0; from < JOBS; from += 1000) {
    await queue.addBulk(
      Array.from({ length: 1000 }, (_, i) => ({
        name: "chunk",
        data: { run, out: "s3://results/a-run", chunk: from + i },
        opts: { jobId: `${run.slice(0, 32)}-${from + i}`, attempts: 5, removeOnComplete: true },
      })),
    );
  }
  const added = JOBS / seconds(began);
  const full = memory();
  const taken = performance.now();
  const worker = new Worker("figures", async () => ({ state: "done" }), { connection, concurrency: 10 });
  await new Promise((done) => worker.on("drained", done));
  await worker.close();
  const jobs = JOBS / seconds(taken);
  await queue.close();
  const end = memory();
  console.log(
    `queue: ${JOBS} jobs added at ${added.toFixed(0)} a second, done by one worker at ${jobs.toFixed(0)} a second`,
  );
  console.log(`queue: ${(1000 / jobs / CHUNK).toFixed(4)} ms an image at ${CHUNK} images a job`);
  console.log(
    `Redis: ${start.toFixed(1)} MB before, ${full.toFixed(1)} MB with ${JOBS} jobs, ${end.toFixed(1)} MB after them`,
  );
  return { added, jobs, bytesPerJob: ((full - start) * 1e6) / JOBS };
}

async function measureThroughput() {
  const folder = mkdtempSync(join(tmpdir(), "figures-"));
  const names = Array.from({ length: IMAGES }, (_, i) => join(folder, `${String(i).padStart(4, "0")}.png`));
  for (const name of names) copyFileSync(join(root, "examples/scene.png"), name);
  /** The better of two, in turn: what else the machine does is in none of them. */
  const best = { library: 0, one: 0 };
  let rows = [];
  for (let round = 0; round < 2; round++) {
    const model = await Florence2.fromPretrained(join(root, "checkpoints/nano"), { device: "cpu" });
    await model.run(names[0], "<OD>");
    const began = performance.now();
    await model.runBatch(names.map((image) => ({ image, task: "<OD>" })));
    best.library = Math.max(best.library, IMAGES / seconds(began));
    await model.dispose();
    const out = mkdtempSync(join(tmpdir(), "figures-"));
    await start("plan", folder, "--task", "OD", "--out", out, "--chunk", String(CHUNK));
    await start("work", out, "--device", "cpu");
    best.one = Math.max(best.one, speedOf(out));
    rows = linesOf(out);
  }
  const { library, one } = best;
  const shared = mkdtempSync(join(tmpdir(), "figures-"));
  await start("plan", folder, "--task", "OD", "--out", shared, "--chunk", "32", "--queue", url);
  await Promise.all(
    [1, 2].map(() => start("work", shared, "--device", "cpu", "--threads", "1", "--queue", url)),
  );
  const two = speedOf(shared);
  console.log(`runBatch: ${library.toFixed(2)} images a second on ${IMAGES} images`);
  console.log(`one worker: ${one.toFixed(2)}, ${((100 * one) / library).toFixed(0)} % of runBatch`);
  console.log(
    `two workers of one thread: ${two.toFixed(2)}, ${((100 * two) / library).toFixed(0)} % of runBatch`,
  );
  return rows;
}

function start(...args) {
  const child = spawn(process.execPath, [program, ...args, "--quiet"], { stdio: "ignore" });
  return new Promise((done) => child.once("exit", done));
}

/** The rows of a run. */
function linesOf(out) {
  const parts = readdirSync(join(out, "parts")).sort();
  return parts.flatMap((name) =>
    readFileSync(join(out, "parts", name), "utf8")
      .split("\n")
      .filter(Boolean),
  );
}

/** A run of many rows like these ones: what it takes to plan it, to list its parts and to merge them. */
async function measureFiles([row]) {
  const folder = mkdtempSync(join(tmpdir(), "figures-"));
  const out = join(folder, "run");
  const list = join(folder, "list.jsonl");
  const keys = Array.from({ length: ROWS }, (_, i) => String(i).padStart(9, "0"));
  writeFileSync(list, keys.map((key) => `${JSON.stringify({ key, path: `/images/${key}.jpg` })}\n`).join(""));
  const planning = performance.now();
  await start("plan", list, "--task", "OD", "--out", out, "--chunk", String(CHUNK));
  const planned = ROWS / seconds(planning);
  const parts = Math.ceil(ROWS / CHUNK);
  mkdirSync(join(out, "parts"));
  const of = String(parts).padStart(5, "0");
  const own = JSON.parse(row);
  for (let part = 0; part < parts; part++) {
    const lines = keys.slice(part * CHUNK, (part + 1) * CHUNK).map((key) => JSON.stringify({ ...own, key }));
    const name = `part-${String(part).padStart(5, "0")}-of-${of}.jsonl`;
    writeFileSync(join(out, "parts", name), `${lines.join("\n")}\n`);
  }
  const { openStorage } = await import("../dist/index.js");
  const listing = performance.now();
  await openStorage(out).list("parts");
  const listed = parts / seconds(listing);
  const merging = performance.now();
  await start("merge", out, "--to", join(folder, "merged"), "--format", "jsonl");
  const merged = ROWS / seconds(merging);
  const bytesPerRow = Buffer.byteLength(row) + 1;
  console.log(
    `files: ${planned.toFixed(0)} images planned a second, ${listed.toFixed(0)} parts listed a second in a folder, ${merged.toFixed(0)} rows of ${bytesPerRow} bytes merged a second`,
  );
  return { planned, listed, merged, bytesPerRow };
}

/** From the beginning of the first chunk, with the model loaded by its first image, to the end of the last. */
function speedOf(out) {
  const { stdout } = spawnSync(process.execPath, [program, "status", out, "--json"], { encoding: "utf8" });
  return JSON.parse(stdout).imagesPerSecond;
}

/** A fleet by arithmetic: what each part must bear, beside what it was measured to bear. */
function simulate({ added, jobs, bytesPerJob }, { planned, listed, merged, bytesPerRow }) {
  const [WORKERS, ALL, PER_WORKER] = [1000, 100e6, 3];
  for (const chunk of [CHUNK, 1024]) {
    const chunks = Math.ceil(ALL / chunk);
    const duration = ALL / (WORKERS * PER_WORKER);
    const rate = chunks / duration;
    console.log(
      [
        `simulation: ${WORKERS} workers of ${PER_WORKER} images a second, ${ALL / 1e6} million images, chunks of ${chunk}: ${chunks} chunks in ${(duration / 3600).toFixed(1)} hours`,
        `  Redis: ${rate.toFixed(1)} jobs a second, ${((100 * rate) / jobs).toFixed(1)} % of what one measured worker took; ${((chunks * bytesPerJob) / 1e6).toFixed(0)} MB with all of them, ${((10_000 * bytesPerJob) / 1e6).toFixed(0)} MB with --ahead 10000; adding all takes ${(chunks / added / 60).toFixed(1)} minutes`,
        `  planning: ${(ALL / planned / 60).toFixed(0)} minutes`,
        `  listing the parts: ${(chunks / listed).toFixed(1)} s in a folder, ${Math.ceil(chunks / 1000)} requests of a bucket; ${WORKERS * Math.ceil(chunks / 1000)} by all workers at the end of the run`,
        `  merging: ${((ALL * bytesPerRow) / 1e9).toFixed(0)} GB, ${(ALL / merged / 60).toFixed(0)} minutes`,
      ].join("\n"),
    );
  }
}
