import { describe, expect, it } from "vitest";
import { converted, released } from "../../../measure/generated/configurations.ts";
import { parseConfig } from "../../../model/config/config.ts";
import {
  expectedTensors,
  OUTPUT_HEAD,
  SHARED_EMBEDDING,
  TEMPORAL_POSITIONS,
} from "../../../model/weights/expected_tensors.ts";
import { storedName } from "../../../model/weights/layouts.ts";
import { sparseHead } from "../../support/sparse_checkpoint.ts";
import { storedIn } from "../../support/stored_tensors.ts";

describe("the list of tensors", () => {
  it.each([
    ["base", 1024, 666, 85_856, 463_221_266],
    ["large", 4096, 918, 120_464, 1_553_563_458],
  ] as const)("of %s with %i positions gives the file that Microsoft published, to the byte", (...row) => {
    const [size, positions, count, headerBytes, fileBytes] = row;
    const json = released(size);
    json.text_config.max_position_embeddings = positions;
    const tensors = storedIn(parseConfig(json), "microsoft");
    expect(tensors.size).toBe(count);
    const sorted = new Map([...tensors].sort(([a], [b]) => (a < b ? -1 : 1)));
    const file = sparseHead(sorted);
    expect(file.head.length).toBe(headerBytes);
    expect(file.size).toBe(fileBytes);
  });

  it("of base has the sizes of the paper", () => {
    const elements = [...storedIn(parseConfig(released("base")), "microsoft")].map(
      ([name, { shape }]) => [name, shape.reduce((a, b) => a * b)] as const,
    );
    const sum = (prefix: string) =>
      elements.filter(([name]) => name.startsWith(prefix)).reduce((total, [, count]) => total + count, 0);
    expect([sum("vision_tower."), sum("language_model."), sum("")]).toEqual([
      90_368_000, 140_258_137, 231_567_705,
    ]);
    expect(storedIn(parseConfig(converted("base")), "transformers").size).toBe(665);
  });

  const block = "vision_tower.blocks.2.8";
  it.each([
    ["vision_tower.convs.3.proj.bias", "model.vision_tower.convs.3.conv.bias"],
    ["vision_tower.convs.0.norm.weight", "model.vision_tower.convs.0.norm.weight"],
    [`${block}.spatial_block.conv1.fn.dw.weight`, `model.${block}.spatial_block.conv1.weight`],
    [`${block}.channel_block.conv2.fn.dw.bias`, `model.${block}.channel_block.conv2.bias`],
    [`${block}.spatial_block.window_attn.norm.weight`, `model.${block}.spatial_block.norm1.weight`],
    [`${block}.channel_block.channel_attn.norm.bias`, `model.${block}.channel_block.norm1.bias`],
    [
      `${block}.spatial_block.window_attn.fn.qkv.weight`,
      `model.${block}.spatial_block.window_attn.qkv.weight`,
    ],
    [
      `${block}.channel_block.channel_attn.fn.proj.bias`,
      `model.${block}.channel_block.channel_attn.proj.bias`,
    ],
    [`${block}.channel_block.ffn.norm.weight`, `model.${block}.channel_block.norm2.weight`],
    [`${block}.spatial_block.ffn.fn.net.fc1.weight`, `model.${block}.spatial_block.ffn.fc1.weight`],
    ["image_projection", "model.multi_modal_projector.image_projection.weight"],
    ["image_proj_norm.bias", "model.multi_modal_projector.image_proj_norm.bias"],
    [
      "image_pos_embed.row_embeddings.weight",
      "model.multi_modal_projector.image_position_embed.row_embeddings.weight",
    ],
    [TEMPORAL_POSITIONS, "model.multi_modal_projector.visual_temporal_embed.pos_idx_to_embed"],
    [SHARED_EMBEDDING, "model.language_model.shared.weight"],
    [
      "language_model.model.decoder.layers.5.encoder_attn.out_proj.weight",
      "model.language_model.decoder.layers.5.encoder_attn.out_proj.weight",
    ],
    [OUTPUT_HEAD, "lm_head.weight"],
  ])("has %s, which transformers calls %s", (microsoft, transformers) => {
    expect(expectedTensors(parseConfig(released("base"))).has(microsoft)).toBe(true);
    expect(storedName(microsoft, "transformers")).toBe(transformers);
    expect(storedName(microsoft, "microsoft")).toBe(microsoft);
  });
});
