import { describe, expect, it } from "vitest";
import type { JsonObject, JsonValue } from "../../../files/json.ts";
import { released } from "../../../measure/generated/configurations.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { checkedImageSize, countImageTokens, parseImageConfig } from "../../../model/config/image.ts";
import { changed } from "../../support/changed_config.ts";
import { florenceError } from "../../support/errors.ts";

const read = (preprocessor: JsonValue) => parseImageConfig({ preprocessor });

describe("preprocessor_config.json", () => {
  const complete: JsonObject = {
    image_processor_type: "CLIPImageProcessor",
    do_resize: true,
    size: { height: 768, width: 768 },
    resample: 3,
    do_center_crop: false,
    crop_size: { height: 768, width: 768 },
    do_rescale: true,
    rescale_factor: 0.00392156862745098,
    do_normalize: true,
    image_mean: [0.485, 0.456, 0.406],
    image_std: [0.229, 0.224, 0.225],
    do_convert_rgb: null,
    image_seq_length: 577,
  };
  const values = {
    width: 768,
    height: 768,
    rescaleFactor: 1 / 255,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  };

  it("is read, and has the values of the release where it is silent", () => {
    expect(read(complete)).toEqual(values);
    expect(read({})).toEqual(values);
    expect(read({ ...complete, size: { width: 144, height: 96 } })).toMatchObject({
      width: 144,
      height: 96,
    });
  });

  it.each([
    ["image_mean", [0.5]],
    ["image_mean", [0.5, 0.5, "0.5"]],
    ["image_std", [0, 0.2, 0.2]],
    ["image_std", 0.5],
    ["rescale_factor", null],
    ["rescale_factor", 0],
    ["size", { shortest_edge: 768 }],
    ["size", -768],
    ["size", { width: 768, height: 0 }],
    ["resample", 99],
    ["resample", 2],
    ["do_resize", 0],
    ["do_rescale", "no"],
    ["do_center_crop", 1],
  ] as const)("has %s %j (D11)", (key, value) => {
    expect(() => read({ ...complete, [key]: value as JsonValue })).toThrow(
      florenceError("config_invalid", "preprocessor_config.json", key, "Expected"),
    );
  });

  it("cannot bring prompts of its own (D13)", () => {
    const task_prompts_with_input = {
      constructor: "x",
      __proto__: "y",
      "<CAPTION>": "no place for the input",
    };
    expect(read({ ...complete, task_prompts_with_input })).toEqual(values);
  });

  it("may leave steps out", () => {
    expect(read({ ...complete, do_resize: false })).toEqual({ ...values, keepSize: true });
    expect(read({ ...complete, do_rescale: false })).toEqual({ ...values, rescaleFactor: 1 });
    expect(read({ ...complete, do_normalize: false })).toEqual({
      ...values,
      mean: [0, 0, 0],
      std: [1, 1, 1],
    });
  });

  it("may have a number for a square, and a crop that takes nothing away", () => {
    expect(read({ ...complete, size: 224 })).toEqual({ ...values, width: 224, height: 224 });
    expect(read({ ...complete, do_center_crop: true })).toEqual(values);
    const cropped = { ...complete, do_center_crop: true, crop_size: { height: 224, width: 224 } };
    expect(() => read(cropped)).toThrow(florenceError("config_invalid", "do_center_crop", "false"));
  });
});

describe("processor_config.json", () => {
  const image_processor = { size: { height: 192, width: 96 }, image_mean: [0.5, 0.5, 0.5] };
  const processor = { image_processor, processor_class: "Florence2Processor" };

  it("goes before preprocessor_config.json, as in transformers 5", () => {
    const expected = { width: 96, height: 192, mean: [0.5, 0.5, 0.5], std: [0.229, 0.224, 0.225] };
    expect(parseImageConfig({ processor })).toMatchObject(expected);
    expect(parseImageConfig({ processor, preprocessor: {} })).toMatchObject(expected);
  });

  it("may say nothing of images, as older ones do", () => {
    const silent = { processor_class: "Florence2Processor" };
    expect(parseImageConfig({ processor: silent, preprocessor: { size: 96 } })?.width).toBe(96);
    expect(parseImageConfig({ processor: silent })).toBeUndefined();
    expect(parseImageConfig({})).toBeUndefined();
  });

  it("is named in errors", () => {
    expect(() => parseImageConfig({ processor: { image_processor: { resample: 2 } } })).toThrow(
      florenceError("config_invalid", "processor_config.json: image_processor.resample is 2"),
    );
  });
});

describe("imageSize", () => {
  it("is a side or both", () => {
    expect(checkedImageSize(64)).toEqual({ width: 64, height: 64 });
    expect(checkedImageSize({ width: 64, height: 96 })).toEqual({ width: 64, height: 96 });
    for (const size of [0, -1, 1.5, Number.NaN, { width: 64, height: 0 }]) {
      expect(() => checkedImageSize(size)).toThrow(florenceError("option_invalid", "imageSize"));
    }
  });
});

describe("image tokens (D7)", () => {
  const base = parseConfig(released("base"));

  it("are 577 for 768 x 768 pixels, and as many as there are places on other maps", () => {
    expect(countImageTokens(base, { width: 768, height: 768 })).toBe(577);
    expect(countImageTokens(base, { width: 768, height: 384 })).toBe(1 + 24 * 12);
    expect(countImageTokens(base, { width: 224, height: 224 })).toBe(50);
    expect(countImageTokens(base, { width: 1, height: 1 })).toBe(2);
  });

  it("must leave room for a prompt, and fit the table of positions", () => {
    const short = parseConfig(changed("text_config", { max_position_embeddings: 578 }));
    expect(() => countImageTokens(short, { width: 768, height: 768 })).toThrow(
      florenceError("config_invalid", "577 tokens", "max_position_embeddings", "578"),
    );
    const fits = parseConfig(changed("text_config", { max_position_embeddings: 579 }));
    expect(countImageTokens(fits, { width: 768, height: 768 })).toBe(577);
    expect(() => countImageTokens(base, { width: 1632, height: 32 })).toThrow(
      florenceError("config_invalid", "51 x 1", "1 to 50"),
    );
    expect(() => countImageTokens(base, { width: 0, height: 768 })).toThrow(
      florenceError("config_invalid", "0 x 24"),
    );
  });
});
