/** The server of soak.mjs: the whole service on an engine without a model. Its port is the first line of its output. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, defaultSettings, listen } from "../dist/index.js";
import { nullEngine } from "./null_engine.mjs";

const settings = {
  ...defaultSettings,
  port: 0,
  maxQueue: 16,
  maxRunning: 8,
  bodyTimeout: 300,
  dataDir: mkdtempSync(join(tmpdir(), "florence2-soak-")),
};
const server = createServer(settings, { load: async () => nullEngine });
// So that growth is what is held, and not what has not been collected yet.
server.app.get("/collect-garbage", (c) => {
  globalThis.gc?.();
  return c.text("");
});
await server.start();
const { port, close } = await listen(server.app, settings);
console.log(port);
process.on("SIGTERM", async () => {
  await server.stop();
  await close();
  process.exit(0);
});
