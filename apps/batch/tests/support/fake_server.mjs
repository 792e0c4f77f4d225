/** `node fake_server.mjs FLAGS...`: florence2-server on `fake_engine.mjs`. The first line of its output is its port. */
import { createServer, listen, readSettings } from "florence2-server";
import { fakeEngine } from "./fake_engine.mjs";

const settings = readSettings([...process.argv.slice(2), "--port", "0"], process.env);
const server = createServer(settings, { load: async () => fakeEngine });
await server.start();
const { port, close } = await listen(server.app, settings);
console.log(port);
process.on("SIGTERM", async () => {
  await server.stop();
  await close();
  process.exit(0);
});
