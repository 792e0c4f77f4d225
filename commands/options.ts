/** Shared by the commands: reading arguments, and options that several of them take. */
import { existsSync } from "node:fs";
import { type ParseArgsConfig, parseArgs } from "node:util";
import { Florence2Error, quote } from "../core/errors.ts";
import { nearestName } from "../core/names.ts";
import { generationSettings } from "../model/generation/options.ts";
import { BUNDLED_MODEL, RELEASED } from "./bundled.ts";

type OptionsConfig = NonNullable<ParseArgsConfig["options"]>;

export const DEVICES = ["auto", "gpu", "cpu"] as const;
export const DTYPES = ["auto", "f32", "f16", "q8", "q4"] as const;

/** Options that choose a model and how it computes. */
export const MODEL_OPTIONS = {
  model: { type: "string" },
  revision: { type: "string" },
  device: { type: "string" },
  dtype: { type: "string" },
  threads: { type: "string" },
} as const satisfies OptionsConfig;

/** Options of decoding. */
export const GENERATION_OPTIONS = {
  "num-beams": { type: "string" },
  "max-new-tokens": { type: "string" },
} as const satisfies OptionsConfig;

export const OUTPUT_OPTIONS = {
  quiet: { type: "boolean", short: "q" },
  help: { type: "boolean", short: "h" },
} as const satisfies OptionsConfig;

/**
 * Arguments of a command, read strictly.
 *
 * @throws {Florence2Error} option_invalid for an unknown option, with the one that was probably meant
 */
export function readArguments<Options extends OptionsConfig>(
  args: string[],
  options: Options,
): ReturnType<typeof parseArgs<{ args: string[]; options: Options; allowPositionals: true }>> {
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (!/^ERR_PARSE_ARGS/.test(String(code))) throw error;
    const unknown = /Unknown option '-*([^']+)'/.exec(message)?.[1];
    const near = unknown && nearestOption(unknown, Object.keys(options));
    const problem = unknown
      ? `There is no option --${unknown}${near ? `; did you mean --${near}?` : "."}`
      : `${message.split(/[.\n]/)[0]}.`;
    throw new Florence2Error("option_invalid", `${problem} --help lists the options.`, { args });
  }
}

/** The option that a word means: one that differs by a letter or two, or has it among its words. */
function nearestOption(word: string, names: readonly string[]): string | undefined {
  return nearestName(word, names) ?? names.find((name) => name.split("-").includes(word));
}

/** The folder or repository that `--model` names: the bundled one, a released one by its short name, or another. */
export function modelOf(name: string | undefined): string {
  if (name === undefined) return BUNDLED_MODEL;
  if (existsSync(name)) return name;
  return Object.hasOwn(RELEASED, name) ? RELEASED[name as keyof typeof RELEASED].id : name;
}

/** @throws {Florence2Error} option_invalid */
export function wholeNumber(name: string, value: string | undefined, min = 0): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value) && Number(value) >= min) return Number(value);
  const expected = min === 0 ? "a whole number" : `a whole number of at least ${min}`;
  throw new Florence2Error("option_invalid", `--${name} is ${value}, expected ${expected}`, {
    [name]: value,
  });
}

/** Of a released model; a checkpoint of another kind checks again. */
const USUAL_MODEL = { vocabSize: 51_289, maxPositions: 1024, decoderStartTokenId: 2, eosTokenId: 2 };

/**
 * Options of decoding, checked as far as they can be without the model.
 *
 * @throws {Florence2Error} option_invalid
 */
export function generationOptions(values: { "num-beams"?: string; "max-new-tokens"?: string }) {
  const numBeams = wholeNumber("num-beams", values["num-beams"]);
  const maxNewTokens = wholeNumber("max-new-tokens", values["max-new-tokens"], 1);
  if (numBeams !== undefined) generationSettings({ numBeams }, USUAL_MODEL);
  return { numBeams, maxNewTokens };
}

/** One of a few words. @throws {Florence2Error} option_invalid */
export function oneOf<Name extends string>(option: string, value: string, names: readonly Name[]): Name {
  if ((names as readonly string[]).includes(value)) return value as Name;
  const near = nearestName(value, names);
  const meant = near ? `; did you mean ${near}?` : "";
  const expected = names.map((name) => quote(name)).join(", ");
  throw new Florence2Error("option_invalid", `--${option} is ${value}, expected ${expected}${meant}`, {
    [option]: value,
  });
}
