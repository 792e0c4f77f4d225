import { describe, expect, it } from "vitest";
import { converted, released } from "../../../measure/generated/configurations.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { changed, rejects } from "../../support/changed_config.ts";

describe("config.json", () => {
  it("goes before generation_config.json, which goes before the release (D9)", () => {
    const microsoft = { num_beams: 3, early_stopping: false };
    expect(parseConfig(released("base"), microsoft).generation.earlyStopping).toBe(true);
    const silent = changed("text_config", { early_stopping: null, num_beams: null });
    expect(parseConfig(silent, { ...microsoft, num_beams: 5 }).generation).toMatchObject({
      earlyStopping: false,
      numBeams: 5,
    });
    expect(parseConfig(silent).generation).toMatchObject({ earlyStopping: true, numBeams: 3 });
    expect(parseConfig(silent, { early_stopping: "never" }).generation.earlyStopping).toBe("never");
    expect(parseConfig(released("base"), { bos_token_id: 7 }).tokens.bos).toBe(0);
    const noIds = changed("text_config", { bos_token_id: null, decoder_start_token_id: null });
    expect(parseConfig(noIds, { bos_token_id: 7 }).tokens).toMatchObject({ bos: 7, decoderStart: 2 });
  });

  it("goes behind generation_config.json in the key names of transformers, but for token ids (D9)", () => {
    const file = { num_beams: 1, early_stopping: false, eos_token_id: 1, bos_token_id: 2 };
    const { generation, tokens } = parseConfig(converted("base"), file);
    expect(generation).toMatchObject({ numBeams: 1, earlyStopping: false, noRepeatNgramSize: 3 });
    expect(tokens).toEqual(parseConfig(converted("base")).tokens);
  });

  it("has generation settings out of bounds (D10)", () => {
    for (const num_beams of [0, -1, 1e6, 2.5, "3"])
      rejects(changed("text_config", { num_beams }), "num_beams");
    rejects(changed("text_config", { no_repeat_ngram_size: -1 }), "no_repeat_ngram_size");
    rejects(changed("text_config", { early_stopping: "always" }), "early_stopping", '"never"');
    rejects(changed("text_config", { length_penalty: "1" }), "length_penalty");
    expect(() => parseConfig(released("base"), { top_p: 2 })).toThrow("generation_config.json: top_p is 2");
    expect(() => parseConfig(released("base"), [])).toThrow("generation_config.json is []");
  });

  it("brings the generation settings that have a counterpart", () => {
    const file = { repetition_penalty: 1.05, min_length: 6, max_new_tokens: 64 };
    expect(parseConfig(released("base"), file).generation).toMatchObject({
      repetitionPenalty: 1.05,
      // min_length counts the start token.
      minNewTokens: 5,
      maxNewTokens: 64,
    });
    expect(parseConfig(released("base"), { ...file, min_new_tokens: 2 }).generation.minNewTokens).toBe(2);
  });

  it("warns of the settings that have none, by name and value", () => {
    const warnings: string[] = [];
    const neutral = { bad_words_ids: null, min_p: 0, num_beam_groups: 1, typical_p: 1 };
    parseConfig(released("base"), neutral, (message) => warnings.push(message));
    expect(warnings).toEqual([]);
    const file = { bad_words_ids: [[1]], num_beam_groups: 3 };
    const config = parseConfig(released("base"), file, (message) => warnings.push(message));
    expect(config.generation).toEqual(parseConfig(released("base")).generation);
    expect(warnings).toEqual([
      expect.stringMatching(/^generation_config\.json: bad_words_ids is \[\[1\]\]: .*not supported/),
      expect.stringMatching(/^generation_config\.json: num_beam_groups is 3: /),
    ]);
  });

  it("has generation settings that no call could have", () => {
    expect(parseConfig(released("base"), {}).generation.numBeams).toBe(3);
    for (const [key, value, bounds] of [
      ["num_beams", 33, "from 1 to 32"],
      ["length_penalty", 11, "from -10 to 10"],
      ["temperature", 2e4, "from 0.0001 to 10000"],
      ["repetition_penalty", 0, "from 0.0001 to 10000"],
    ] as const) {
      rejects(changed("text_config", { [key]: value }), `text_config.${key} is ${value}`, bounds);
    }
  });

  it("cannot cut answers by its max_length of 20 (D10)", () => {
    expect(parseConfig(changed("text_config", { max_length: 20 }))).toEqual(parseConfig(released("base")));
  });
});
