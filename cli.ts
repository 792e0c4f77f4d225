#!/usr/bin/env node
/** `florence2 [command] ...`: finds the command and runs it. */
import { existsSync } from "node:fs";
import { version } from "./commands/bundled.ts";
import { fail } from "./commands/terminal.ts";
import { Florence2Error } from "./core/errors.ts";
import { nearestName } from "./core/names.ts";

type Command = (args: string[]) => Promise<number>;

/** Each prints its own `--help`, and resolves to the exit code. */
const COMMANDS: Readonly<Record<string, { readonly does: string; readonly load: () => Promise<Command> }>> = {
  describe: {
    does: "answers tasks about images; the command that is run where none is named",
    load: async () => (await import("./commands/describe/describe.ts")).describe,
  },
  doctor: {
    does: "says what runs here, and whether it runs right",
    load: async () => (await import("./commands/doctor/doctor.ts")).doctor,
  },
  evaluate: {
    does: "measures how good a model's answers are, on a data set",
    load: async () => (await import("./commands/evaluate.ts")).evaluate,
  },
  quantize: {
    does: "writes a smaller model, in 8 or 4 bits",
    load: async () => (await import("./commands/quantize/quantize.ts")).quantize,
  },
};

async function main([name = "", ...rest]: string[]): Promise<number> {
  if (name === "--version" || name === "-v" || name === "version") return print(version());
  if (name === "help" || ((name === "--help" || name === "-h") && rest.length === 0)) return help(rest[0]);
  if (Object.hasOwn(COMMANDS, name)) return (await COMMANDS[name]!.load())(rest);
  const near = /^[a-z]+$/i.test(name) && !existsSync(name) && nearestName(name, Object.keys(COMMANDS));
  if (near)
    throw new Florence2Error("option_invalid", `There is no command ${name}; did you mean ${near}?`, {
      name,
    });
  return (await COMMANDS.describe!.load())(name === "" ? [] : [name, ...rest]);
}

async function help(command = "describe"): Promise<number> {
  const code = await main([command, "--help"]);
  if (command !== "describe") return code;
  const lines = Object.entries(COMMANDS).map(([name, { does }]) => `  ${name.padEnd(10)} ${does}`);
  return print(["\nCommands (florence2 help COMMAND explains one):", ...lines].join("\n"));
}

function print(text: string): number {
  process.stdout.write(`${text}\n`);
  return 0;
}

process.exitCode = await main(process.argv.slice(2)).catch(fail);
