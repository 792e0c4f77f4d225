import { resolve } from "node:path";
import { readSettings, type Settings } from "florence2-server";
import { flagOf, SettingsError, settingsByName, variableOf } from "florence2-server/mcp";

/** Settings of the server that have a meaning without a port. */
const SHARED = [
  ...["model", "revision", "device", "dtype", "requestTimeout", "imageCache"],
  ...["maxImageBytes", "maxPixels", "maxTasks"],
  ...["imageUrls", "allowedMediaDomains", "imageUrlSchemes", "imageUrlTimeout"],
  ...["logFormat"],
];

/** Flags of this program alone; those without a value are switches. */
const OWN: Readonly<Record<string, { readonly value?: string; readonly help: string }>> = {
  "--root": {
    value: "FOLDER ...",
    help: "folders whose images may be read (the working folder)",
  },
  "--preload": { help: "load the model at once, not when the first tool is called" },
  "--help": { help: "print this help and end" },
  "--version": { help: "print the version and end" },
};

export interface McpSettings {
  readonly settings: Settings;
  /** Absolute paths. */
  readonly roots: readonly string[];
  readonly preload: boolean;
  readonly help: boolean;
  readonly version: boolean;
}

/**
 * The settings of a command line and of the environment (`FLORENCE2_MODEL` for `--model`; a flag goes before).
 *
 * @throws {SettingsError} for an unknown flag, or a value that is not allowed
 */
export function readMcpSettings(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
  folder: string,
): McpSettings {
  const shared = new Set(SHARED.map((name) => `--${flagOf(name)}`));
  const forServer: string[] = [];
  const roots: string[] = [];
  const switches = new Set<string>();
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] === "-h" ? "--help" : args[i]!;
    const [flag, inline] = arg.split(/=(.*)/s) as [string, string?];
    if (Object.hasOwn(OWN, flag) && OWN[flag]!.value === undefined) switches.add(flag);
    else if (flag === "--root" || shared.has(flag)) {
      const value = inline ?? args[++i];
      if (value === undefined) throw new SettingsError(`${flag} needs a value`);
      if (flag !== "--root") {
        forServer.push(`${flag}=${value}`);
        continue;
      }
      roots.push(resolve(folder, value));
      if (inline !== undefined) continue;
      while (i + 1 < args.length && !args[i + 1]!.startsWith("-")) roots.push(resolve(folder, args[++i]!));
    } else throw new SettingsError(`${arg}: there is no such flag; --help lists them`);
  }
  const variables = new Set(SHARED.map(variableOf));
  const own = Object.entries(environment).filter(([name]) => variables.has(name));
  return {
    settings: readSettings(forServer, Object.fromEntries(own)),
    roots: roots.length > 0 ? roots : workingFolder(folder),
    preload: switches.has("--preload"),
    help: switches.has("--help"),
    version: switches.has("--version"),
  };
}

/** Desktop programs start others at the top of the disk: all of it is never meant. */
const workingFolder = (folder: string): string[] =>
  resolve(folder, "..") === resolve(folder) ? [] : [folder];

export function helpText(): string {
  const line = (left: string, right: string) =>
    `  ${left.length < 36 ? left.padEnd(36) : `${left}\n${" ".repeat(38)}`}${right}`;
  const own = Object.entries(OWN).map(([flag, { value, help }]) =>
    line([flag, value].filter(Boolean).join(" "), help),
  );
  const shared = SHARED.map((name) => {
    const { value, help, shown } = settingsByName.get(name)!;
    return line(`--${flagOf(name)} ${value}`, shown ? `${help} (${shown})` : help);
  });
  return `florence2-mcp: Florence-2 as tools for agents, over the Model Context Protocol on standard input and output.

  florence2-mcp [--model MODEL] [--root FOLDER] ...

${own.join("\n")}

${shared.join("\n")}

Settings of the second part can also come from the environment: --model is FLORENCE2_MODEL.
`;
}
