/** Every setting of the server, once: flags, environment, help, the README's table and the types come from this list. */

interface Setting<T> {
  /** The placeholder behind the flag in the help, such as SECONDS; none for a switch. */
  readonly value: string | undefined;
  readonly help: string;
  readonly initial: T;
  /** The default as people read it. */
  readonly shown: string;
  readonly isList: boolean;
  readonly isSecret: boolean;
  /** Turns text into the value; throws an Error that says what is allowed. */
  readonly parse: (text: string) => T;
}

function text(value: string, initial: string, help: string, shown = initial): Setting<string> {
  return { value, help, initial, shown, isList: false, isSecret: false, parse: (given) => given };
}

function list(value: string, initial: readonly string[], help: string): Setting<readonly string[]> {
  const parse = (given: string) =>
    given
      .split(",")
      .map((part) => part.trim())
      .filter(Boolean);
  return { value, help, initial, shown: initial.join(","), isList: true, isSecret: false, parse };
}

function secrets(value: string, help: string): Setting<readonly string[]> {
  return { ...list(value, [], help), isSecret: true };
}

function secret(value: string, help: string): Setting<string> {
  return { ...text(value, "", help, "none"), isSecret: true };
}

function integer(initial: number, least: number, most: number, help: string): Setting<number> {
  const parse = (given: string) => {
    const found = Number(given);
    if (!/^\d+$/.test(given) || found < least || found > most)
      throw new Error(`is ${JSON.stringify(given)}; expected an integer from ${least} to ${most}`);
    return found;
  };
  return { value: "N", help, initial, shown: String(initial), isList: false, isSecret: false, parse };
}

const UNITS: Readonly<Record<string, number>> = { "": 1, K: 1e3, M: 1e6, G: 1e9, KB: 1e3, MB: 1e6, GB: 1e9 };

/** A count of bytes or pixels: `20MB`, `50M`, `1000000`. */
function amount(shown: string, help: string, value = "BYTES"): Setting<number> {
  const parse = (given: string) => {
    const [, digits, unit] = /^(\d+(?:\.\d+)?)([KMG]?B?)$/i.exec(given.trim()) ?? [];
    const factor = UNITS[unit?.toUpperCase() ?? "?"];
    if (digits === undefined || factor === undefined)
      throw new Error(`is ${JSON.stringify(given)}; expected a number such as 500000, 20MB or 1.5GB`);
    return Math.round(Number(digits) * factor);
  };
  return { value, help, initial: parse(shown), shown, isList: false, isSecret: false, parse };
}

/** In milliseconds: `30s`, `500ms`, `2m`, a bare number is seconds. */
function duration(shown: string, help: string): Setting<number> {
  const parse = (given: string) => {
    const [, digits, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(given.trim()) ?? [];
    const found = Number(digits) * { ms: 1, s: 1000, m: 60_000 }[unit as "ms" | "s" | "m"];
    // Timers of JavaScript end at 2^31 - 1 ms.
    if (digits === undefined || found > 2 ** 31 - 1)
      throw new Error(`is ${JSON.stringify(given)}; expected a time such as 30s, 500ms or 2m`);
    return found;
  };
  return { value: "TIME", help, initial: parse(shown), shown, isList: false, isSecret: false, parse };
}

function choice<const T extends string>(
  options: readonly T[],
  initial: NoInfer<T>,
  help: string,
): Setting<T> {
  const parse = (given: string) => {
    const found = options.find((option) => option === given);
    if (found === undefined)
      throw new Error(`is ${JSON.stringify(given)}; expected one of ${options.join(", ")}`);
    return found;
  };
  return { value: options.join("|"), help, initial, shown: initial, isList: false, isSecret: false, parse };
}

function flag(help: string): Setting<boolean> {
  const parse = (given: string) => {
    if (["1", "true", "yes", ""].includes(given)) return true;
    if (["0", "false", "no"].includes(given)) return false;
    throw new Error(`is ${JSON.stringify(given)}; expected true or false`);
  };
  return { value: undefined, help, initial: false, shown: "off", isList: false, isSecret: false, parse };
}

/** In groups as the help shows them. */
export const settingGroups = {
  Model: {
    model: text("MODEL", "", "a folder, a URL or a repository such as microsoft/Florence-2-base", "bundled"),
    servedModelName: list("NAME", [], "further names that requests may use for the model"),
    revision: text("REVISION", "", "branch, tag or commit of a repository", "main"),
    device: choice(["auto", "gpu", "cpu"], "auto", "where to compute"),
    dtype: choice(["auto", "f32", "f16", "q8", "q4"], "auto", "how weights are held"),
    defaultTask: text("TASK", "<MORE_DETAILED_CAPTION>", "the task of a message without text"),
    sampling: choice(["allow", "ignore"], "allow", "what `temperature` and `top_p` of a request do"),
  },
  Address: {
    host: text("ADDRESS", "127.0.0.1", "the address to listen on; a public one needs a key"),
    port: integer(8000, 0, 65_535, "the port; 0 takes a free one"),
    allowedHosts: list("NAME", [], "further names that the Host header may have; * takes any"),
    corsOrigin: list("ORIGIN", [], "origins whose pages may call the server, such as https://app.example"),
  },
  Access: {
    apiKey: secrets("KEY", "a key that callers present as `Authorization: Bearer KEY`"),
    apiKeyFile: text("FILE", "", "a file of keys, one a line, each with a name before it or without", "none"),
    noAuth: flag("serve a public address without any key"),
  },
  Load: {
    maxQueue: integer(64, 1, 100_000, "requests that may wait; the next one gets 429"),
    maxRunning: integer(16, 1, 1024, "requests that the model works on together"),
    requestTimeout: duration("120s", "how long a request may take from its arrival"),
    bodyTimeout: duration("30s", "how long a body may take to arrive"),
    shutdownTimeout: duration("25s", "how long accepted requests may take after SIGTERM"),
    imageCache: amount("256MB", "memory for images that may be asked about again; 0 for none"),
  },
  Limits: {
    maxBody: amount("32MB", "the largest body"),
    maxImageBytes: amount("20MB", "the largest encoded image"),
    maxPixels: amount("50M", "the most pixels of an image", "PIXELS"),
    maxChoices: integer(16, 1, 32, "the largest `n`"),
    maxTasks: integer(16, 1, 64, "the most tasks, or phrases, of one request"),
    maxUpload: amount("512MB", "the largest file of /v1/files"),
    maxStorage: amount("5GB", "the space that all files together may take"),
  },
  "Image URLs": {
    imageUrls: choice(["public", "list", "off"], "public", "which hosts images are fetched from"),
    allowedMediaDomains: list("DOMAIN", [], "the hosts of `list`, such as img.example or *.example"),
    imageUrlSchemes: list("SCHEME", ["https"], "https, or https,http"),
    imageUrlTimeout: duration("10s", "how long a fetch may take"),
  },
  Batches: {
    dataDir: text("FOLDER", "", "where files and batches are kept", "~/.local/state/florence2-server"),
    batchConcurrency: integer(8, 1, 256, "lines of batches that are asked about together"),
    queue: secret("URL", "redis:// or postgres://, through which servers and workers share batches"),
    lockDuration: duration("120s", "silence after which one of them counts as dead"),
  },
  Operation: {
    playground: choice(["on", "off"], "on", "the page at `/` to try the model"),
    config: text("FILE", "", "a JSON file with settings by the names of their flags", "none"),
    logFormat: choice(["json", "text"], "json", "the form of the log on standard error"),
    printConfig: flag("print the settings, secrets masked, and end"),
    help: flag("print this help and end"),
    version: flag("print the version and end"),
  },
} as const;

type Groups = typeof settingGroups;
type Entries = { [G in keyof Groups]: Groups[G] }[keyof Groups];
type Union<T> = T extends unknown ? (argument: T) => void : never;
type All = Union<Entries> extends (argument: infer I) => void ? I : never;

export type Settings = { -readonly [K in keyof All]: All[K] extends Setting<infer T> ? T : never };

/** All settings by name. */
export const settingsByName: ReadonlyMap<string, Setting<unknown>> = new Map(
  Object.values(settingGroups).flatMap((group) => Object.entries(group as Record<string, Setting<unknown>>)),
);

/** @example flagOf("maxQueue") // "max-queue" */
export const flagOf = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** @example variableOf("maxQueue") // "FLORENCE2_MAX_QUEUE" */
export const variableOf = (name: string): string =>
  `FLORENCE2_${flagOf(name).replaceAll("-", "_").toUpperCase()}`;

export const defaultSettings = Object.fromEntries(
  [...settingsByName].map(([name, { initial }]) => [name, initial]),
) as Settings;
