#!/usr/bin/env node
import { pipeline } from "node:stream";
import { StdioServerTransport, serveStdio } from "@modelcontextprotocol/server/stdio";
import { createLog, createMcpServer, openTools, SettingsError } from "florence2-server/mcp";
import { BoundedLines } from "./bounded_lines.ts";
import { Roots } from "./roots.ts";
import { helpText, readMcpSettings } from "./settings.ts";
import { version } from "./version.ts";

async function main(): Promise<void> {
  const { settings, roots, preload, ...asked } = readMcpSettings(
    process.argv.slice(2),
    process.env,
    process.cwd(),
  );
  if (asked.help) return void process.stdout.write(helpText());
  if (asked.version) return void console.log(version);

  // Standard output belongs to the protocol; a library that prints there would break it.
  console.log = console.info = console.debug = console.error;
  const log = createLog(settings.logFormat, (line) => void process.stderr.write(`${line}\n`));
  const files = new Roots(roots, settings.maxImageBytes);
  const tools = openTools(settings, { log, readPath: (path) => files.read(path) });

  const stop = async () => {
    await tools.stop();
    process.exit(0);
  };
  const lines = new BoundedLines({
    ...messageBounds(settings.maxImageBytes),
    onLeftOut: () => log({ level: "warn", event: "message_too_long" }),
  });
  pipeline(process.stdin, lines, () => {});
  const handle = serveStdio(
    () => createMcpServer(tools.parts, (fields) => log({ event: "tool_called", ...fields })),
    {
      // The client that closes the input, or reads no more, has ended; so does its server.
      transport: new (class extends StdioServerTransport {
        override async close() {
          await super.close();
          await stop();
        }
      })(lines, process.stdout, { maxBufferSize: Infinity }),
      onerror: (error) => log({ level: "warn", event: "mcp_error", error: error.message }),
    },
  );
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void handle.close());
  for (const root of await files.missing()) log({ level: "warn", event: "root_missing", root });
  log({ event: "ready", roots: roots.length, preload });
  if (preload)
    await tools.service.start().catch((error: Error) => {
      log({ level: "error", event: "model_failed", error: error.message });
    });
}

/** A message may hold an image in base64, one that is a little too large, and what is around it. */
function messageBounds(imageBytes: number) {
  const maxString = Math.ceil((imageBytes * 4) / 3) + 1000;
  return { maxString, maxLine: maxString + 1_000_000 };
}

main().catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  console.error(error instanceof SettingsError ? message : `florence2-mcp: ${message}`);
  process.exit(error instanceof SettingsError ? 2 : 1);
});
