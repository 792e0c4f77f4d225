#!/usr/bin/env node
/** `florence2 [command] ...`: finds the command and runs it. */
import { existsSync } from "node:fs";
import { version } from "./commands/bundled.ts";
import { fail } from "./commands/terminal.ts";
import { Florence2Error } from "./core/errors.ts";
import { nearestName } from "./core/names.ts";

type Command = (args: string[]) => Promise<number>;

/** Each prints its own `--help`, and resolves to the exit code. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  describe: async () => (await import("./commands/describe/describe.ts")).describe,
  label: async () => (await import("./commands/label/label.ts")).label,
  caption: async () => (await import("./commands/caption/caption.ts")).caption,
  read: async () => (await import("./commands/read/read.ts")).read,
  regions: async () => (await import("./commands/regions/regions.ts")).regions,
  convert: async () => (await import("./commands/convert/convert.ts")).convert,
  doctor: async () => (await import("./commands/doctor/doctor.ts")).doctor,
  report: async () => (await import("./commands/report/report.ts")).report,
  evaluate: async () => (await import("./commands/evaluate.ts")).evaluate,
  gallery: async () => (await import("./commands/gallery.ts")).gallery,
  quantize: async () => (await import("./commands/quantize/quantize.ts")).quantize,
  verify: async () => (await import("./commands/doctor/verify.ts")).verifyReal,
};

const HELP = `
Commands (florence2 help COMMAND explains one):
  describe   answers tasks about images; the command that is run where none is named
  label      draws boxes, outlines or quads on a folder of images, for training a detector
  caption    writes a caption beside each image of a folder
  read       reads the text in a folder of images, as pages for search and archives
  regions    describes given boxes in a folder of images
  convert    makes other formats of what label, read, regions or caption computed
  doctor     checks the device, the kernels and a model on this machine
  report     tests and times everything on this device, in one folder
  evaluate   measures how good a model's answers are, on a data set
  gallery    draws the answers to every task about images of a data set
  quantize   writes a smaller model, in 8 or 4 bits
  verify     compares answers of the released weights with published ones
`;

async function main([name = "", ...rest]: string[]): Promise<number> {
  if (["--version", "-v", "version"].includes(name)) return print(`${version()}\n`);
  if (name === "help") return help(rest[0]);
  if (["--help", "-h"].includes(name)) return help();
  if (Object.hasOwn(COMMANDS, name)) return (await COMMANDS[name]!())(rest);
  const near = /^[a-z]+$/.test(name) && !existsSync(name) && nearestName(name, Object.keys(COMMANDS));
  if (near) {
    throw new Florence2Error("option_invalid", `There is no command ${name}; did you mean ${near}?`, {
      name,
    });
  }
  return (await COMMANDS.describe!())(name === "" ? [] : [name, ...rest]);
}

async function help(command = "describe"): Promise<number> {
  const code = await main([command, "--help"]);
  return command === "describe" ? print(HELP) : code;
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

// A reader that goes away, such as head, ends the work as a signal does: a run over a folder goes on from there.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.kill(process.pid, "SIGTERM");
});

process.exitCode = await main(process.argv.slice(2)).catch(fail);
