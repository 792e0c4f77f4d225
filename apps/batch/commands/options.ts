import { type ParseArgsConfig, parseArgs } from "node:util";
import { Florence2Error } from "florence2-webgpu";
import type { DeviceOptions } from "../work/open_model.ts";

export const OPTIONS = {
  out: { type: "string" },
  task: { type: "string" },
  text: { type: "string" },
  model: { type: "string" },
  revision: { type: "string" },
  dtype: { type: "string" },
  "num-beams": { type: "string" },
  "max-new-tokens": { type: "string" },
  unchecked: { type: "boolean" },
  chunk: { type: "string" },
  format: { type: "string" },
  recursive: { type: "boolean", short: "r" },
  column: { type: "string" },
  queue: { type: "string" },
  ahead: { type: "string" },
  priority: { type: "string" },
  device: { type: "string" },
  threads: { type: "string" },
  "shutdown-timeout": { type: "string" },
  "lock-duration": { type: "string" },
  "metrics-port": { type: "string" },
  port: { type: "string" },
  "image-urls": { type: "string" },
  "allowed-media-domains": { type: "string" },
  to: { type: "string" },
  partial: { type: "boolean" },
  retry: { type: "boolean" },
  json: { type: "boolean" },
  quiet: { type: "boolean", short: "q" },
  help: { type: "boolean", short: "h" },
} as const satisfies NonNullable<ParseArgsConfig["options"]>;

export type Values = {
  readonly [Name in keyof typeof OPTIONS]?: (typeof OPTIONS)[Name]["type"] extends "boolean"
    ? boolean
    : string;
};

/** @throws {Florence2Error} `option_invalid` */
export function readArguments(args: string[]): { values: Values; positionals: string[] } {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    const unknown = /'-*([^' ]+)/.exec((error as Error).message)?.[1];
    const message = `${(error as Error).message.split(/[.\n]/)[0]}. --help lists the options.`;
    throw new Florence2Error("option_invalid", message, { option: unknown }, error);
  }
}

/** @throws {Florence2Error} `option_invalid` */
export function wholeNumber(name: keyof Values, values: Values, least = 0): number | undefined {
  const value = values[name] as string | undefined;
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value) && Number(value) >= least) return Number(value);
  throw new Florence2Error(
    "option_invalid",
    `--${name} is ${value}, expected a whole number of at least ${least}.`,
    {
      [name]: value,
    },
  );
}

/** @throws {Florence2Error} `option_invalid` */
export function oneOf<Name extends string>(
  name: keyof Values,
  values: Values,
  names: readonly Name[],
  remedy = "",
): Name | undefined {
  const value = values[name] as string | undefined;
  if (value === undefined || (names as readonly string[]).includes(value)) return value as Name | undefined;
  const message = `--${name} is ${value}, expected ${names.join(", ")}${remedy}.`;
  throw new Florence2Error("option_invalid", message, { [name]: value });
}

/** `milliseconds("30s")` → 30000 */
export function milliseconds(name: keyof Values, values: Values): number | undefined {
  const value = values[name] as string | undefined;
  if (value === undefined) return undefined;
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(value) ?? [];
  if (number) return Number(number) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit as "s"]!;
  throw new Florence2Error(
    "option_invalid",
    `--${name} is ${value}, expected a time such as 500ms, 30s or 2m.`,
    {
      [name]: value,
    },
  );
}

/** @throws {Florence2Error} `option_invalid` */
export function required(name: keyof Values, values: Values, command: string): string {
  const value = values[name];
  if (typeof value === "string" && value !== "") return value;
  throw new Florence2Error(
    "option_invalid",
    `florence2-batch ${command} needs --${name}; --help shows how.`,
    {},
  );
}

/** The folder or prefix of the run, the first argument or `--out`. */
export function outOf(values: Values, positionals: readonly string[], command: string): string {
  const out = positionals[0] ?? values.out;
  if (out !== undefined) return out;
  const message = `florence2-batch ${command} needs the folder of a run; --help shows how.`;
  throw new Florence2Error("option_invalid", message, {});
}

export function deviceOptions(values: Values): DeviceOptions {
  return {
    device: oneOf("device", values, ["auto", "gpu", "cpu"]),
    threads: wholeNumber("threads", values, 1),
  };
}

/** `counted(1, "chunk")` → 1 chunk, `counted(2, "chunk")` → 2 chunks */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;
