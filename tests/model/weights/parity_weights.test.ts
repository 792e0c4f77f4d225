import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { released } from "../../../measure/generated/configurations.ts";
import { COEFFICIENTS, parityCheckpoint, parityTensor } from "../../../measure/generated/parity_weights.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { expectedTensors } from "../../../model/weights/expected_tensors.ts";

const fixture = (name: string) =>
  readFileSync(new URL(`../../fixtures/model/${name}`, import.meta.url), "utf8");
const sha256 = (values: Float32Array) =>
  createHash("sha256")
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest("hex");

describe("the parity weights", () => {
  it("follow the rules of weights.py", () => {
    const python = readFileSync(new URL("../../reference/weights.py", import.meta.url), "utf8");
    const table = /COEFFICIENTS = \{(.*?)\n\}/s.exec(python)![1]!;
    const rules = [...table.matchAll(/"(.+)": ([\d.]+),/g)].map(([, suffix, c]) => [suffix, Number(c)]);
    expect(COEFFICIENTS).toEqual(rules);
  });

  it("are those of Python, bit for bit: every tensor of the tiny model", async () => {
    const expected: Record<string, { shape: number[]; first: number[]; sha256: string }> = JSON.parse(
      fixture("tiny.weights.json"),
    );
    const checkpoint = parityCheckpoint(parseConfig(JSON.parse(fixture("tiny.config.json"))));
    expect(Object.keys(expected)).toHaveLength(273);
    for (const [name, { shape, first, sha256: hash }] of Object.entries(expected)) {
      expect(checkpoint.tensors.get(name)!.shape, name).toEqual(shape);
      const values = await checkpoint.read(name);
      expect([...values.slice(0, 3)], name).toEqual(first);
      expect(sha256(values), name).toBe(hash);
    }
  });

  // Hashes of weights.tensor(name, shape).tobytes(), and of weights.picture("pixel_values.1", 768).
  it.each([
    [
      "language_model.model.shared.weight",
      "0be22be8a6b504427ae7683896926d0e327b8f9a524044bdfcffd43ead09d3e3",
    ],
    [
      "vision_tower.blocks.3.0.channel_block.channel_attn.fn.qkv.weight",
      "9408a74b01a1be3bd2bbf0cfb5d39918b39cd5afecbdff65e8d04b9288bb447c",
    ],
    ["image_projection", "cf26a5cde4ceaa68342dbd3c334290f5c6c7b08cb76cad48859d3fb14bfdc9a1"],
    [
      "language_model.model.decoder.layers.5.final_layer_norm.weight",
      "d1b0343cdb8e09c58fc8d8b6573bb269127fca22a6355d04a1dee3ab3d1e1296",
    ],
  ])("are those of Python, bit for bit: %s of base", async (name, hash) => {
    const checkpoint = parityCheckpoint(parseConfig(released("base")));
    expect(sha256(await checkpoint.read(name))).toBe(hash);
  });

  it("include images", () => {
    expect(sha256(parityTensor("pixel_values.1", [3, 768, 768]))).toBe(
      "25b60d4a4a773810245eda3a0109bd0275f4deeac6f5c277318384b64638277c",
    );
  });

  it("give parts that are parts of the whole", async () => {
    const checkpoint = parityCheckpoint(parseConfig(JSON.parse(fixture("tiny.config.json"))));
    for (const name of ["language_model.model.shared.weight", "visual_temporal_embed.pos_idx_to_embed"]) {
      const width = checkpoint.tensors.get(name)!.shape[1]!;
      const whole = await checkpoint.read(name);
      expect(await checkpoint.readRows(name, 2, 5)).toEqual(whole.slice(2 * width, 5 * width));
    }
  });

  it("have no second copy of the token table", async () => {
    const config = parseConfig(released("base"));
    const absent = [...expectedTensors(config).keys()].filter(
      (name) => !parityCheckpoint(config).tensors.has(name),
    );
    expect(absent).toEqual([
      "language_model.model.encoder.embed_tokens.weight",
      "language_model.model.decoder.embed_tokens.weight",
      "language_model.lm_head.weight",
    ]);
    await expect(parityCheckpoint(config).read(absent[0]!)).rejects.toThrow("no parity weights");
  });
});
