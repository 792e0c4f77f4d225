import { type Files, openFiles, type Source } from "../files/files.ts";

/**
 * The files of a tokenizer, each as text or, for JSON, already parsed. `tokenizer.json` is enough, or `vocab.json`
 * with `merges.txt`; the others add tokens and settings.
 */
export type TokenizerFiles = {
  readonly "tokenizer.json"?: unknown;
  readonly "vocab.json"?: unknown;
  readonly "merges.txt"?: string;
  readonly "added_tokens.json"?: unknown;
  readonly "tokenizer_config.json"?: unknown;
  readonly "special_tokens_map.json"?: unknown;
};

/** Reads the tokenizer files of a checkpoint. Throws `file_not_found`, `file_unreadable`. */
export async function readTokenizerFiles(source: Source | Files): Promise<TokenizerFiles> {
  const files = isFiles(source) ? source : openFiles(source);
  const isWhole = await files.has("tokenizer.json");
  const isSplit = !isWhole && (await files.has("vocab.json")) && (await files.has("merges.txt"));
  // Without either, the error of opening tokenizer.json says where it was expected.
  const texts: Record<string, string> = isSplit
    ? { "vocab.json": await files.text("vocab.json"), "merges.txt": await files.text("merges.txt") }
    : { "tokenizer.json": await files.text("tokenizer.json") };
  const optional = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    ...(isSplit ? ["added_tokens.json"] : []),
  ];
  for (const name of optional) {
    if (await files.has(name)) texts[name] = await files.text(name);
  }
  return texts;
}

function isFiles(source: Source | Files): source is Files {
  return (
    typeof (source as Partial<Files>).text === "function" &&
    typeof (source as Partial<Files>).has === "function"
  );
}
