#!/usr/bin/env node
import { Florence2Error } from "florence2-webgpu";
import { batch } from "./commands/batch.ts";
import { stopOnSignals } from "./commands/signals.ts";

batch(process.argv.slice(2), stopOnSignals()).then(
  (code) => process.exit(code),
  (error: unknown) => {
    const isKnown = error instanceof Florence2Error;
    process.stderr.write(`${isKnown ? error.message : error instanceof Error ? error.stack : error}\n`);
    process.exit(isKnown && error.code === "option_invalid" ? 2 : 1);
  },
);
