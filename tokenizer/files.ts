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
  const texts: Record<string, string> = {};
  const take = async (name: string) => {
    const text = await files.optionalText(name);
    if (text !== undefined) texts[name] = text;
    return text !== undefined;
  };
  const isWhole = await take("tokenizer.json");
  const isSplit = !isWhole && (await take("vocab.json")) && (await take("merges.txt"));
  // Without either, reading tokenizer.json is the error to report: it says where the file was looked for.
  if (!isWhole && !isSplit) return { "tokenizer.json": await files.text("tokenizer.json") };
  await take("tokenizer_config.json");
  await take("special_tokens_map.json");
  if (isSplit) await take("added_tokens.json");
  return texts;
}

function isFiles(source: Source | Files): source is Files {
  return (
    typeof (source as Partial<Files>).text === "function" &&
    typeof (source as Partial<Files>).has === "function"
  );
}
