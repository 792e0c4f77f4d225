/** `node fake_worker.mjs COMMAND...`: the built program on made-up models. */
import { batch, stopOnSignals } from "../../dist/index.js";
import { fakeEngine } from "./fake_engine.mjs";
import { workerModel } from "./worker_model.mjs";

const args = process.argv.slice(2);
batch(
  args,
  stopOnSignals(),
  async () => workerModel,
  async () => fakeEngine,
).then(
  (code) => process.exit(code),
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);
