/** `node fake_worker.mjs COMMAND...`: the built program on made-up models. */
import { fileURLToPath } from "node:url";
import { batch, ownProgram, stopOnSignals } from "../../dist/index.js";
import { fakeEngine } from "./fake_engine.mjs";
import { workerModel } from "./worker_model.mjs";

const args = process.argv.slice(2);
batch(
  args,
  stopOnSignals(),
  async () => workerModel,
  async () => fakeEngine,
  ownProgram(fileURLToPath(import.meta.url)),
).then(
  (code) => process.exit(code),
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);
