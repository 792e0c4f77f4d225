#!/usr/bin/env node
import { serve } from "@hono/node-server";
import { helpText, printSettings, readSettings, SettingsError } from "./config/read_settings.ts";
import { version } from "./operations/version.ts";
import { createServer } from "./server.ts";

/** Slower headers are an attack; bodies have a clock of their own. */
const HEADERS_MILLISECONDS = 10_000;

async function main(): Promise<void> {
  const settings = readSettings(process.argv.slice(2), process.env);
  if (settings.help) return void process.stdout.write(helpText());
  if (settings.version) return void console.log(version);
  if (settings.printConfig) return void console.log(printSettings(settings));

  const { app, log, start, stop } = createServer(settings);
  const listening = await new Promise<{ address: string; port: number; close: () => Promise<void> }>(
    (resolve, reject) => {
      const server = serve(
        {
          fetch: app.fetch,
          hostname: settings.host,
          port: settings.port,
          serverOptions: {
            headersTimeout: HEADERS_MILLISECONDS,
            requestTimeout: settings.bodyTimeout + HEADERS_MILLISECONDS,
          },
        },
        ({ address, port }) => resolve({ address, port, close }),
      );
      const close = () =>
        new Promise<void>((done) => {
          server.close(() => done());
          if ("closeIdleConnections" in server) server.closeIdleConnections();
        });
      server.once("error", reject);
    },
  );
  const host = settings.host.includes(":") ? `[${settings.host}]` : settings.host;
  log({
    event: "listening",
    url: `http://${host}:${listening.port}`,
    docs: `http://${host}:${listening.port}/docs`,
  });

  let isStopping = false;
  const shutDown = async (signal: string) => {
    // The second signal means: at once.
    if (isStopping) process.exit(130);
    isStopping = true;
    log({ event: "draining", signal });
    await stop();
    await Promise.race([listening.close(), new Promise((resolve) => setTimeout(resolve, 1000))]);
    log({ event: "stopped" });
    process.exit(0);
  };
  process.on("SIGTERM", () => void shutDown("SIGTERM"));
  process.on("SIGINT", () => void shutDown("SIGINT"));
  await start();
}

main().catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  console.error(error instanceof SettingsError ? message : `florence2-server: ${message}`);
  process.exit(error instanceof SettingsError ? 2 : 1);
});
