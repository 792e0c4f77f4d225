/**
 * `npm run chaos --workspace apps/batch`: 2,000 images (CHAOS_IMAGES) on three workers with Redis, of which one is killed
 * by SIGKILL every five seconds; then the same on one worker that nothing disturbs. Every key must be there once, and
 * all bytes must be equal. Needs redis-server; the model is the bundled one on the CPU.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { startRedis } from "./redis.mjs";

const program = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const scene = fileURLToPath(new URL("../../../examples/scene.png", import.meta.url));
const IMAGES = Number(process.env.CHAOS_IMAGES ?? 2000);
const [WORKERS, KILL_MILLISECONDS, DISTINCT, TELL_MILLISECONDS] = [3, 5000, 50, 15_000];

const newFolder = () => mkdtempSync(join(tmpdir(), "florence2-chaos-"));
const start = (...args) => {
  const child = spawn(process.execPath, [program, ...args, "--quiet"], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  return { child, ended: new Promise((done) => child.once("exit", (code, signal) => done(signal ?? code))) };
};

/** Parts of one drawing, each some pixels further. */
async function drawImages() {
  const folder = newFolder();
  const { width, height } = await sharp(scene).metadata();
  for (let i = 0; i < IMAGES; i++) {
    const name = (one) => join(folder, `${String(one).padStart(5, "0")}.png`);
    const [left, top] = [i % 10, Math.floor(i / 10)];
    if (i >= DISTINCT) writeFileSync(name(i), readFileSync(name(i % DISTINCT)));
    else
      await sharp(scene)
        .extract({ left, top, width: width - 10, height: height - 10 })
        .toFile(name(i));
  }
  return folder;
}

const partsIn = (out) => (existsSync(join(out, "parts")) ? readdirSync(join(out, "parts")).sort() : []);

function resultsOf(out) {
  const hash = createHash("sha256");
  const keys = [];
  for (const name of partsIn(out)) {
    const content = readFileSync(join(out, "parts", name));
    hash.update(content);
    for (const line of content.toString("utf8").split("\n").filter(Boolean)) keys.push(JSON.parse(line).key);
  }
  return { sha256: hash.digest("hex"), keys };
}

const folder = await drawImages();
const plan = (out, ...more) =>
  start("plan", folder, "--task", "OD", "--out", out, "--chunk", "32", ...more).ended;

const redis = await startRedis();
const disturbed = newFolder();
try {
  await plan(disturbed, "--queue", redis.url);
  const flags = ["--queue", redis.url, "--device", "cpu", "--threads", "1", "--lock-duration", "5s"];
  const startWorker = () => start("work", disturbed, ...flags);
  const workers = Array.from({ length: WORKERS }, startWorker);
  const began = performance.now();
  let kills = 0;
  const timer = setInterval(() => {
    const i = kills++ % WORKERS;
    workers[i].child.kill("SIGKILL");
    workers[i] = startWorker();
  }, KILL_MILLISECONDS);
  const chunks = Math.ceil(IMAGES / 32);
  const done = () => partsIn(disturbed).filter((name) => name.endsWith(".jsonl")).length;
  const seconds = () => ((performance.now() - began) / 1000).toFixed(0);
  const teller = setInterval(
    () => console.log(`${seconds()} s: ${done()} of ${chunks} chunks, ${kills} workers killed`),
    TELL_MILLISECONDS,
  );
  while (done() < chunks) await new Promise((wake) => setTimeout(wake, 200));
  clearInterval(timer);
  clearInterval(teller);
  const codes = await Promise.all(workers.map(({ ended }) => ended));
  console.log(`${WORKERS} workers, ${kills} of them killed: ${seconds()} s, exit codes ${codes.join(", ")}`);
} finally {
  redis.stop();
}

const alone = newFolder();
await plan(alone);
const began = performance.now();
await start("work", alone, "--device", "cpu").ended;
console.log(`one worker, undisturbed: ${((performance.now() - began) / 1000).toFixed(0)} s`);

const [one, other] = [resultsOf(disturbed), resultsOf(alone)];
const isOnce = new Set(one.keys).size === IMAGES && one.keys.length === IMAGES;
console.log(`${one.keys.length} rows, ${isOnce ? "each key once" : "KEYS ARE MISSING OR TWICE"}`);
console.log(one.sha256 === other.sha256 ? "all bytes are equal" : "BYTES DIFFER");
process.exitCode = isOnce && one.sha256 === other.sha256 ? 0 : 1;
