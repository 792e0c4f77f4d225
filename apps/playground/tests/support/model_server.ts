import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, defaultSettings, listen, type Settings } from "florence2-server";

export interface ModelServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** A florence2-server on the bundled checkpoint and the CPU, with the page at its root. */
export async function startModelServer(settings: Partial<Settings> = {}): Promise<ModelServer> {
  const all: Settings = {
    ...defaultSettings,
    device: "cpu",
    requestTimeout: 1_800_000,
    port: 0,
    dataDir: mkdtempSync(join(tmpdir(), "florence2-playground-")),
    ...settings,
  };
  const server = createServer(all, { log: () => {} });
  const listening = await listen(server.app, all);
  await server.start();
  return {
    url: `http://127.0.0.1:${listening.port}/`,
    async stop() {
      await server.stop();
      await listening.close();
    },
  };
}
