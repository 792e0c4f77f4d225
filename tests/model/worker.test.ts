/** Ending a worker while its model computes ends the worker alone. Runs the built library, as workers do. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { gpuMissing } from "../support/gpu.ts";

const library = new URL("../../dist/index.js", import.meta.url).href;
const nano = fileURLToPath(new URL("../../checkpoints/nano/", import.meta.url));

/** Milliseconds after which a process that does not end counts as stuck, on a busy machine. */
const PATIENCE = 1_500_000;

/** A worker that computes until it is told to dispose its model; it answers when that is done. */
const worker = (device: string) => `
  const { parentPort } = require("node:worker_threads");
  (async () => {
    const { Florence2 } = await import(${JSON.stringify(library)});
    const model = await Florence2.fromPretrained(${JSON.stringify(nano)}, { device: "${device}", onWarning() {} });
    parentPort.once("message", () => model.dispose().then(() => parentPort.postMessage("disposed")));
    const image = ${JSON.stringify(nano)} + "heldout/000.jpg";
    const long = { numBeams: 1, minNewTokens: 400, maxNewTokens: 500, noRepeatNgramSize: 0 };
    const onStep = ({ step }) => step === 0 && parentPort.postMessage("computing");
    await model.run(image, "<OD>", { ...long, onStep }).catch(() => {});
    setInterval(() => {}, 1000);
  })();
`;

/** A process that starts the worker and terminates it: at once, or when its model is disposed. */
function terminate(device: string, when: "computing" | "disposed") {
  const main = `
    const { Worker } = require("node:worker_threads");
    const worker = new Worker(${JSON.stringify(worker(device))}, { eval: true });
    worker.on("error", (error) => { throw error; });
    worker.on("message", async (message) => {
      if (message !== "${when}") return worker.postMessage("dispose");
      await worker.terminate();
      console.log("the process goes on");
    });
  `;
  return spawnSync(process.execPath, ["-e", main], { encoding: "utf8", timeout: PATIENCE });
}

describe("a process", () => {
  it("ends by itself although its model was not disposed", () => {
    const program = `
      const { Florence2 } = await import(${JSON.stringify(library)});
      const model = await Florence2.fromPretrained(${JSON.stringify(nano)}, { device: "cpu" });
      console.log((await model.run(${JSON.stringify(`${nano}heldout/000.jpg`)}, "<CAPTION>")).text);
    `;
    const ended = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
      encoding: "utf8",
      timeout: PATIENCE,
    });
    expect(ended).toMatchObject({ status: 0, stdout: expect.stringMatching(/heart/) });
  });
});

describe("terminating a worker", () => {
  it("ends it alone while its model computes on the CPU", () => {
    const { status, stdout, stderr } = terminate("cpu", "computing");
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "the process goes on\n", stderr: "" });
  });

  it.skipIf(gpuMissing)("ends it alone when the model on its GPU is disposed", () => {
    const { status, stdout } = terminate("gpu", "disposed");
    expect({ status, stdout }).toEqual({ status: 0, stdout: "the process goes on\n" });
  });
});
