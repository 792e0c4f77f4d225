import { Florence2Error } from "../core/errors.ts";

/**
 * The files of a tokenizer, each as text or, for JSON, already parsed. Enough are `tokenizer.json` alone, or
 * `vocab.json` with `merges.txt`; the others add what those leave open.
 */
export type TokenizerFiles = {
  readonly "tokenizer.json"?: unknown;
  readonly "vocab.json"?: unknown;
  readonly "merges.txt"?: string;
  readonly "added_tokens.json"?: unknown;
  readonly "tokenizer_config.json"?: unknown;
  readonly "special_tokens_map.json"?: unknown;
};

export type TokenizerFileName = keyof TokenizerFiles;

/**
 * Reads the tokenizer files of a checkpoint's directory: a path or `file:` URL where the runtime has a file
 * system (Node, Deno), or the http(s) URL of the directory. Throws `file_not_found`, `file_unreadable`.
 */
export async function readTokenizerFiles(directory: string | URL): Promise<TokenizerFiles> {
  const read = openDirectory(directory);
  const common = ["tokenizer_config.json", "special_tokens_map.json"] as const;
  const whole = await read("tokenizer.json");
  if (whole !== undefined) {
    return { "tokenizer.json": whole, ...(await readAll(read, common)) };
  }
  const files = await readAll(read, ["vocab.json", "merges.txt", "added_tokens.json", ...common]);
  if (files["vocab.json"] === undefined || files["merges.txt"] === undefined) {
    throw new Florence2Error(
      "file_not_found",
      `${directory}: found neither tokenizer.json nor vocab.json with merges.txt`,
      { directory: String(directory) },
    );
  }
  return files;
}

/** Text of a file of the directory, or undefined where there is no such file. */
type ReadFile = (name: TokenizerFileName) => Promise<string | undefined>;

async function readAll(read: ReadFile, names: readonly TokenizerFileName[]): Promise<TokenizerFiles> {
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await read(name)])));
}

function openDirectory(directory: string | URL): ReadFile {
  const isUrl = directory instanceof URL || /^(https?|file):/.test(directory);
  if (!isUrl) return (name) => readLocalFile(`${directory}/${name}`);

  // Without the slash at its end, the last part of the path would be replaced and not extended.
  const base = new URL(directory);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return (name) => {
    const url = new URL(name, base);
    url.search = base.search;
    return url.protocol === "file:" ? readLocalFile(url) : fetchFile(url);
  };
}

async function readLocalFile(path: string | URL): Promise<string | undefined> {
  // Imported here so that browsers can load the module.
  const { readFile } = await import("node:fs/promises");
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const reason = (cause as { code?: string }).code;
    if (reason === "ENOENT") return undefined;
    throw new Florence2Error("file_unreadable", `${path} cannot be read: ${reason}`, { reason }, cause);
  }
}

async function fetchFile(url: URL): Promise<string | undefined> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw new Florence2Error("file_unreadable", `${url} cannot be fetched`, { url: url.href }, cause);
  }
  if (response.status === 404) return undefined;
  if (!response.ok) {
    throw new Florence2Error("file_unreadable", `${url} cannot be fetched: status ${response.status}`, {
      url: url.href,
      status: response.status,
    });
  }
  return response.text();
}
