import { Florence2Error } from "../core/errors.ts";
import { type Files, openFiles, type Source } from "../core/files.ts";

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

type FileName = keyof TokenizerFiles;

/** Reads the tokenizer files of a checkpoint. Throws `file_not_found`, `file_unreadable`. */
export async function readTokenizerFiles(source: Source | Files): Promise<TokenizerFiles> {
  const files = isFiles(source) ? source : openFiles(source);
  const isWhole = await files.has("tokenizer.json");
  const needed: FileName[] = isWhole ? ["tokenizer.json"] : ["vocab.json", "merges.txt"];
  const optional: FileName[] = ["tokenizer_config.json", "special_tokens_map.json"];
  if (!isWhole) optional.push("added_tokens.json");

  for (const name of needed) {
    if (await files.has(name)) continue;
    const message = `${name} is missing: a tokenizer is tokenizer.json, or vocab.json with merges.txt`;
    throw new Florence2Error("file_not_found", message, { file: name });
  }
  const texts = new Map<FileName, string>();
  for (const name of [...needed, ...optional]) {
    if (needed.includes(name) || (await files.has(name))) texts.set(name, await files.text(name));
  }
  return Object.fromEntries(texts);
}

function isFiles(source: Source | Files): source is Files {
  return (
    typeof (source as Partial<Files>).text === "function" &&
    typeof (source as Partial<Files>).has === "function"
  );
}
