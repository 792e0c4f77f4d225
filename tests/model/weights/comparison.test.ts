import { describe, expect, it } from "vitest";
import { converted, released } from "../../../measure/generated/configurations.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { LOGITS_BIAS, OUTPUT_HEAD, SHARED_EMBEDDING } from "../../../model/weights/expected_tensors.ts";
import { openCheckpoint } from "../../../model/weights/open_checkpoint.ts";
import { florenceError } from "../../support/errors.ts";
import { type StoredTensor, sparseFiles } from "../../support/sparse_checkpoint.ts";
import { storedIn, TINY } from "../../support/stored_tensors.ts";

describe("weights that do not fit the configuration (B19)", () => {
  const base = parseConfig(released("base"));

  /** The error of opening base with some tensors changed, removed (null) or added. */
  async function refused(changes: Record<string, StoredTensor | null>, ...patterns: string[]): Promise<void> {
    const tensors = storedIn(base, "microsoft");
    for (const [name, tensor] of Object.entries(changes)) {
      if (tensor) tensors.set(name, tensor);
      else tensors.delete(name);
    }
    const files = sparseFiles(tensors);
    await expect(openCheckpoint(files, base)).rejects.toEqual(
      florenceError("checkpoint_mismatch", "model.safetensors", "layout of Microsoft", ...patterns),
    );
    expect(files).toMatchObject({ dataReads: 0, opened: 0 });
  }

  it("lack tensors", async () => {
    const layers = (i: number) => `language_model.model.encoder.layers.${i}.fc1.weight`;
    await refused({ [layers(0)]: null }, `1 tensor is missing: "${layers(0)}".`);
    const five = Object.fromEntries([0, 1, 2, 3, 4].map((i) => [layers(i), null]));
    await refused(five, `5 tensors are missing: "${layers(0)}", "${layers(1)}", "${layers(2)}", and 2 more.`);
  });

  it("lack tensors and have others in their place", async () => {
    const tensor = { dtype: "F16", shape: [2] };
    const changes = { "image_proj_norm.bias": null, "image_proj_norm.beta": tensor };
    await refused(changes, "1 tensor is missing", '1 tensor is unknown: "image_proj_norm.beta"');
  });

  it("have other shapes", async () => {
    await refused(
      { "image_proj_norm.bias": { dtype: "F16", shape: [769] } },
      '1 tensor does not fit: "image_proj_norm.bias" with shape [769] instead of [768]',
    );
    await refused({ "image_proj_norm.bias": { dtype: "F16", shape: [1, 768] } }, "[1,768] instead of [768]");
    await refused(
      { image_projection: { dtype: "F16", shape: [768, 1024] } },
      "[768,1024] instead of [1024,768]",
    );
    await refused(
      { [OUTPUT_HEAD]: { dtype: "F16", shape: [51290, 768] } },
      "[51290,768] instead of [51289,768]",
    );
    await refused({ [LOGITS_BIAS]: { dtype: "F16", shape: [51289] } }, "[51289] instead of [1,51289]");
  });

  it.each(["I64", "F64", "F8_E4M3"])("have the dtype %s", async (dtype) => {
    await refused(
      { "image_proj_norm.bias": { dtype, shape: [768] } },
      `in ${dtype} instead of F32, F16 or BF16`,
    );
  });

  it("have another number of rows than the vocabulary (D6)", async () => {
    const files = sparseFiles(storedIn(base, "microsoft"));
    const vocabulary = released("base");
    vocabulary.text_config.vocab_size = 51288;
    await expect(openCheckpoint(files, parseConfig(vocabulary))).rejects.toEqual(
      florenceError("checkpoint_mismatch", "[51289,768] instead of [51288,768]"),
    );
    const padded = sparseFiles(storedIn(parseConfig(converted("base")), "transformers"));
    const checkpoint = await openCheckpoint(padded, parseConfig(converted("base")));
    expect(checkpoint.tensors.get(SHARED_EMBEDDING)!.shape).toEqual([51328, 768]);
  });

  it("are of another size (D15)", async () => {
    const large = parseConfig(released("large"));
    for (const layout of ["microsoft", "transformers"] as const) {
      await expect(openCheckpoint(sparseFiles(storedIn(large, layout)), base)).rejects.toEqual(
        florenceError(
          "checkpoint_mismatch",
          "The configuration is of Florence-2 base, the weights are of Florence-2 large.",
        ),
      );
    }
    await expect(openCheckpoint(sparseFiles(storedIn(base, "microsoft")), large)).rejects.toEqual(
      florenceError("checkpoint_mismatch", "of Florence-2 large, the weights are of Florence-2 base."),
    );
    await expect(openCheckpoint(sparseFiles(storedIn(TINY, "microsoft")), large)).rejects.toEqual(
      florenceError("checkpoint_mismatch", "a first stage of 8 channels and d_model 24"),
    );
  });

  it("are of large, with the positions of another revision (D7)", async () => {
    const long = released("large");
    long.text_config.max_position_embeddings = 4096;
    const files = sparseFiles(storedIn(parseConfig(long), "microsoft"));
    await expect(openCheckpoint(files, parseConfig(released("large")))).rejects.toEqual(
      florenceError("checkpoint_mismatch", "2 tensors do not fit", "[4098,1024] instead of [1026,1024]"),
    );
  });

  it("are of another model", async () => {
    const files = sparseFiles(
      new Map([["bert.embeddings.word_embeddings.weight", { dtype: "F16", shape: [2] }]]),
    );
    await expect(openCheckpoint(files, base)).rejects.toEqual(
      florenceError(
        "checkpoint_mismatch",
        "no weights of Florence-2",
        '"bert.embeddings.word_embeddings.weight"',
      ),
    );
    await expect(openCheckpoint(sparseFiles(new Map()), base)).rejects.toEqual(
      florenceError("checkpoint_mismatch", "Found nothing"),
    );
    expect(files).toMatchObject({ dataReads: 0, opened: 0 });
  });
});
