/**
 * Loads, asks and disposes a model of the built library again and again on one device, with --expose-gc. Prints as JSON
 * what is in memory after every interval. Arguments: the model's folder, rounds of an interval, intervals.
 */
import { deepStrictEqual } from "node:assert/strict";
import { openRunner } from "../../dist/core/device.js";
import { Florence2 } from "../../dist/index.js";
import "./rest_between_polls.mjs";

const [folder, rounds, intervals] = process.argv.slice(2);
const image = { data: new Uint8Array(3 * 8 * 8).fill(77), width: 8, height: 8, channels: 3 };
const { device } = await openRunner("gpu", { onWarning() {} });

/** Bytes of all buffers that live on the device. */
let bufferBytes = 0;
const create = device.createBuffer.bind(device);
device.createBuffer = (descriptor) => {
  const buffer = create(descriptor);
  bufferBytes += buffer.size;
  const destroy = buffer.destroy.bind(buffer);
  buffer.destroy = () => {
    bufferBytes -= buffer.size;
    destroy();
  };
  return buffer;
};

async function round() {
  const model = await Florence2.fromPretrained(folder, { device });
  await model.run(image, "<CAPTION>", { maxNewTokens: 2, numBeams: 1 });
  deepStrictEqual([model.memory.bytes > 0, bufferBytes > 0], [true, true]);
  await model.dispose();
  deepStrictEqual([model.memory.bytes, bufferBytes], [0, 0]);
}

const samples = [];
for (let interval = 0; interval < Number(intervals); interval++) {
  for (let i = 0; i < Number(rounds); i++) await round();
  // Without what is only waiting to be collected.
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { rss, heapUsed } = process.memoryUsage();
  samples.push({ resident: rss, heap: heapUsed });
}
console.log(JSON.stringify(samples));
// The device goes on; the process does not.
process.exit(0);
