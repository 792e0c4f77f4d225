#!/usr/bin/env node
import { helpText, printSettings, readSettings, SettingsError } from "./config/read_settings.ts";
import { listen } from "./listen.ts";
import { version } from "./operations/version.ts";
import { createServer } from "./server.ts";

async function main(): Promise<void> {
  const settings = readSettings(process.argv.slice(2), process.env);
  if (settings.help) return void process.stdout.write(helpText());
  if (settings.version) return void console.log(version);
  if (settings.printConfig) return void console.log(printSettings(settings));

  const { app, log, start, stop } = createServer(settings);
  const listening = await listen(app, settings);
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
    await listening.close();
    log({ event: "stopped" });
    process.exit(0);
  };
  process.on("SIGTERM", () => void shutDown("SIGTERM"));
  process.on("SIGINT", () => void shutDown("SIGINT"));
  await start().catch((error: unknown) => {
    // A server that stops while its model loads ends the loading.
    if (!isStopping) throw error;
  });
}

main().catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  console.error(error instanceof SettingsError ? message : `florence2-server: ${message}`);
  process.exit(error instanceof SettingsError ? 2 : 1);
});
