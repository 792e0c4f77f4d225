import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { writeWeights } from "../commands/quantize/weights_file.ts";
import { released } from "../measure/generated/configurations.ts";
import { parityCheckpoint } from "../measure/generated/parity_weights.ts";
import { tokenizerJson } from "../measure/subjects.ts";
import { parseConfig } from "../model/config/config.ts";

/**
 * A folder with a model of a released size that can be loaded as any other: generated weights, in f16 as the released
 * files have them. It is written once.
 */
export async function generatedFolder(size: "base" | "large"): Promise<string> {
  const folder = resolve(".cache/generated", size);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.${process.pid}.part`;
  try {
    mkdirSync(unfinished, { recursive: true });
    const config = parseConfig(released(size));
    const json = {
      "config.json": released(size),
      "tokenizer.json": await tokenizerJson(config.text.vocabSize),
    };
    for (const [name, content] of Object.entries(json))
      writeFileSync(join(unfinished, name), JSON.stringify(content));
    const checkpoint = parityCheckpoint(config);
    const dtypes = new Map([...checkpoint.tensors.keys()].map((name) => [name, "f16"] as const));
    await writeWeights(join(unfinished, "model.safetensors"), checkpoint, dtypes);
    renameSync(unfinished, folder);
    return folder;
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}
