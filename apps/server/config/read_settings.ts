import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import {
  defaultSettings,
  flagOf,
  type Settings,
  settingGroups,
  settingsByName,
  variableOf,
} from "./settings.ts";

/** A setting that cannot be; the message names the flag, the variable or the file. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

const namesByFlag = new Map([...settingsByName.keys()].map((name) => [flagOf(name), name]));

/**
 * The settings of a command line, of the environment and of a configuration file, in this order of precedence.
 *
 * @throws {SettingsError} for an unknown flag, a value that is not allowed, or settings that contradict each other
 */
export function readSettings(args: readonly string[], environment: NodeJS.ProcessEnv): Settings {
  const fromFlags = readFlags(args);
  const fromEnvironment = new Map<string, unknown>();
  for (const [name, { parse }] of settingsByName) {
    const value = environment[variableOf(name)];
    if (value !== undefined)
      fromEnvironment.set(
        name,
        attempt(variableOf(name), () => parse(value)),
      );
  }
  const file = fromFlags.get("config") ?? fromEnvironment.get("config");
  const settings = Object.assign(
    { ...defaultSettings },
    file ? Object.fromEntries(readFile(file as string)) : {},
    Object.fromEntries(fromEnvironment),
    Object.fromEntries(fromFlags),
  ) as Settings;
  settings.dataDir ||= usualDataDir(environment);
  if (!settings.help && !settings.version) check(settings);
  return settings;
}

/** The folder of files and batches where none is named. */
export const usualDataDir = (environment: NodeJS.ProcessEnv): string =>
  join(environment.XDG_STATE_HOME ?? join(homedir(), ".local", "state"), "florence2-server");

function readFlags(args: readonly string[]): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] === "-h" ? "--help" : args[i]!;
    const [, flag, inline] = /^--([^=]+)(?:=(.*))?$/s.exec(arg) ?? [];
    const name = namesByFlag.get(flag ?? "");
    if (name === undefined) throw new SettingsError(`${arg}: there is no such flag; --help lists them`);
    const setting = settingsByName.get(name)!;
    const value = inline ?? (setting.value === undefined ? "" : args[++i]);
    if (value === undefined) throw new SettingsError(`--${flag} needs a value: ${setting.value}`);
    const parsed = attempt(`--${flag}`, () => setting.parse(value));
    const before = setting.isList ? ((found.get(name) as readonly string[]) ?? []) : [];
    found.set(name, setting.isList ? [...before, ...(parsed as readonly string[])] : parsed);
  }
  return found;
}

function readFile(path: string): Map<string, unknown> {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new SettingsError(`--config ${path}: ${(error as Error).message}`);
  }
  if (typeof content !== "object" || content === null || Array.isArray(content))
    throw new SettingsError(`--config ${path}: expected an object of settings by the names of their flags`);
  const found = new Map<string, unknown>();
  for (const [flag, value] of Object.entries(content)) {
    const name = namesByFlag.get(flag);
    if (name === undefined) throw new SettingsError(`--config ${path}: there is no setting "${flag}"`);
    const given = Array.isArray(value) ? value.join(",") : String(value);
    found.set(
      name,
      attempt(`--config ${path}: "${flag}"`, () => settingsByName.get(name)!.parse(given)),
    );
  }
  return found;
}

function attempt<T>(where: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new SettingsError(`${where} ${(error as Error).message}`);
  }
}

const LOOPBACK = ["127.0.0.1", "::1", "localhost"];

export const isLoopback = (host: string): boolean => LOOPBACK.includes(host);

function check(settings: Settings): void {
  const hasKey = settings.apiKey.length > 0 || settings.apiKeyFile !== "";
  if (!isLoopback(settings.host) && !hasKey && !settings.noAuth)
    throw new SettingsError(
      `--host ${settings.host} can be reached by others: give --api-key or --api-key-file, or --no-auth if that is meant`,
    );
  if (settings.imageUrls === "list" && settings.allowedMediaDomains.length === 0)
    throw new SettingsError("--image-urls list needs --allowed-media-domains");
  if (settings.queue && !/^(rediss?|postgres(ql)?):\/\//.test(settings.queue))
    throw new SettingsError("--queue is neither redis://, rediss:// nor postgres://");
  const schemes = settings.imageUrlSchemes.filter((scheme) => scheme !== "https" && scheme !== "http");
  if (schemes.length > 0)
    throw new SettingsError(`--image-url-schemes is ${schemes.join(",")}; only https and http are fetched`);
}

/** The settings as text, secrets masked. */
export function printSettings(settings: Settings): string {
  const shown = [...settingsByName].map(([name, { isSecret }]) => {
    const value = settings[name as keyof Settings];
    const mask = () => (Array.isArray(value) ? value.map(() => "***") : value && "***");
    return [flagOf(name), isSecret ? mask() : value];
  });
  return JSON.stringify(Object.fromEntries(shown), null, 2);
}

export function helpText(): string {
  const groups = Object.entries(settingGroups).map(([title, group]) => {
    const lines = Object.entries(group).map(([name, { value, help, shown }]) => {
      const left = `  --${flagOf(name)}${value ? ` ${value}` : ""}`;
      const hint = value && shown ? ` (${shown})` : "";
      return `${left.length < 36 ? left.padEnd(36) : `${left}\n${" ".repeat(36)}`}${help}${hint}`;
    });
    return `${title}\n${lines.join("\n")}`;
  });
  return `florence2-server: Florence-2 as an OpenAI-compatible service.

  florence2-server [--model MODEL] [--port N] ...

${groups.join("\n\n")}

Every setting can also come from the environment: --max-queue is FLORENCE2_MAX_QUEUE.
A flag goes before the environment, the environment before the file of --config.
`;
}
