/** What files of weights hold of a configuration's tensors. */
import { readFileSync } from "node:fs";
import { type Florence2Config, parseConfig } from "../../model/config/config.ts";
import { expectedTensors, LOGITS_BIAS, OUTPUT_HEAD } from "../../model/weights/expected_tensors.ts";
import { type Layout, storedName } from "../../model/weights/layouts.ts";
import type { StoredTensor } from "./sparse_checkpoint.ts";

/** The tiny model of the fixtures. */
export const TINY = parseConfig(
  JSON.parse(readFileSync(new URL("../fixtures/model/tiny.config.json", import.meta.url), "utf8")),
);
/** The token table under the names that encoder and decoder have for it. */
export const TIED = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"].map(
  (name) => `language_model.model.${name}`,
);
/** The token table under every other name: the released files hold it once. */
export const NOT_STORED = new Set([...TIED, OUTPUT_HEAD]);

/** What the released files store: the token table once, and everything in float16. */
export function storedIn(config: Florence2Config, layout: Layout): Map<string, StoredTensor> {
  const names = [...expectedTensors(config)].filter(
    ([name]) => !NOT_STORED.has(name) && !(layout === "transformers" && name === LOGITS_BIAS),
  );
  return new Map(
    names.map(([name, shape]) => [
      storedName(name, layout),
      {
        dtype: "F16",
        shape: layout === "transformers" && name === "image_projection" ? [...shape].reverse() : shape,
      },
    ]),
  );
}
