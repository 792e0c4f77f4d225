/**
 * `npm run throughput --workspace apps/server [-- --requests 50 --device cpu --task "<OD>"]`: the same questions one
 * by one and all at once, to the bundled checkpoint or --model, without a port; answers are compared with those of
 * `run` alone. Prints times and their ratio.
 */
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Florence2 } from "florence2-webgpu";
import { bundledCheckpoint } from "../dist/engine/florence2_engine.js";
import { createServer, defaultSettings } from "../dist/index.js";

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "50" },
    device: { type: "string", default: "auto" },
    model: { type: "string", default: "" },
    task: { type: "string", default: "<OD>" },
  },
});
const ROUNDS = 4;
const count = Number(values.requests);
const scene = readFileSync(fileURLToPath(new URL("../../../examples/scene.png", import.meta.url)));

/** Images that differ in what is not shown, so that each is looked at. */
let salt = 0;
function freshImage() {
  // Behind the end of a PNG, where decoders stop.
  return Buffer.concat([scene, Buffer.from(String(salt++))]);
}

const { app, start, stop, service } = createServer(
  {
    ...defaultSettings,
    device: values.device,
    model: values.model,
    maxQueue: count,
    requestTimeout: 1_800_000,
    dataDir: join(tmpdir(), "florence2-throughput"),
  },
  { log: () => {} },
);
await start();
const ask = async (image) => {
  const response = await app.request(`/v1/florence2?task=${encodeURIComponent(values.task)}`, {
    method: "POST",
    headers: { "content-type": "image/png" },
    body: image,
  });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()).results[0].answer;
};

async function measure(run) {
  const images = Array.from({ length: count }, freshImage);
  const begin = performance.now();
  const answers = await run(images);
  return { seconds: (performance.now() - begin) / 1000, answers };
}

const oneByOne = () =>
  measure(async (images) => {
    const answers = [];
    for (const image of images) answers.push(await ask(image));
    return answers;
  });
const atOnce = () => measure((images) => Promise.all(images.map(ask)));

await ask(freshImage());
// In turn, the best of each: other work on the machine disturbs both.
const [one, all] = [[], []];
for (let round = 0; round < ROUNDS; round++) {
  one.push(await oneByOne());
  all.push(await atOnce());
}
const best = (runs) => Math.min(...runs.map(({ seconds }) => seconds));

const device = values.device === "auto" ? {} : { device: values.device };
const model = await Florence2.fromPretrained(values.model || bundledCheckpoint(), device);
const expected = (await model.run(new Uint8Array(scene), values.task)).answer;
model.dispose();

/** Confidences may differ in their last digits where a device adds up batches in another order; nothing else may. */
function compare(answer) {
  const { scores = [], polygons_scores = [], ...rest } = answer;
  const { scores: wanted = [], polygons_scores: wantedMasks = [], ...wantedRest } = expected;
  if (JSON.stringify(rest) !== JSON.stringify(wantedRest)) return Infinity;
  const pairs = [...scores, ...polygons_scores].map((score, i) => score - [...wanted, ...wantedMasks][i]);
  return Math.max(0, ...pairs.map(Math.abs));
}
const differences = [...one, ...all].flatMap(({ answers }) => answers).map(compare);
const different = differences.filter((difference) => difference > 1e-4).length;

console.log(`${count} requests of ${values.task} on ${service.device.name}`);
console.log(
  `one by one ${best(one).toFixed(2)} s, at once ${best(all).toFixed(2)} s: ${(best(one) / best(all)).toFixed(2)} times as fast`,
);
console.log(
  `answers that differ from run alone: ${different} of ${2 * ROUNDS * count}; confidences by ${Math.max(...differences)} at most`,
);
await stop();
process.exitCode = different === 0 ? 0 : 1;
