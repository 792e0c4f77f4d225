/** The tokenizer of the fixtures, which has 640 tokens of its own, and its files to be changed. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { florenceTokens, Tokenizer } from "../../tokenizer/index.ts";

export const directory = fileURLToPath(new URL("../fixtures/tokenizer", import.meta.url));
export const read = (name: string) => readFileSync(`${directory}/${name}`, "utf8");
export const tokenizerJson = () => JSON.parse(read("tokenizer.json"));
export const vocabAndMerges = () => ({
  "vocab.json": JSON.parse(read("vocab.json")),
  "merges.txt": read("merges.txt"),
});
/** Texts with the ids and the texts that the reference makes of them. */
export const vectors: { text: string; ids: number[]; prefixed: number[]; decoded: string }[] = JSON.parse(
  read("vectors.json"),
);
export const small = Tokenizer.fromFiles({ "tokenizer.json": tokenizerJson() });

/** tokenizer.json as other conversions write it: all added tokens listed. */
export function selfContained(extra: string[] = []) {
  const file = tokenizerJson();
  const first = Object.keys(file.model.vocab).length;
  for (const [i, content] of [...florenceTokens, ...extra].entries()) {
    file.added_tokens.push({ id: first + i, content, special: true, lstrip: false, normalized: false });
  }
  return file;
}
