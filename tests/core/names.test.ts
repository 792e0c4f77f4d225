import { describe, expect, it } from "vitest";
import { editDistance, nearestName } from "../../core/names.ts";

describe("the nearest name", () => {
  const names = ["numBeams", "maxNewTokens", "device", "dtype", "OD", "OCR", "CAPTION", "DETAILED_CAPTION"];
  it.each([
    ["num_beams", "numBeams"],
    ["NUMBEAMS", "numBeams"],
    ["numBeam", "numBeams"],
    ["maxTokens", "maxNewTokens"],
    ["max_new_token", "maxNewTokens"],
    ["devices", "device"],
    ["ODD", "OD"],
    ["od", "OD"],
    ["CAP", "CAPTION"],
    ["detailed caption", "DETAILED_CAPTION"],
    ["DETAILED", "DETAILED_CAPTION"],
    ["CAPTIN", "CAPTION"],
    ["VQA", undefined],
    ["ANALYZE", undefined],
    ["GENERATE_TAGS", undefined],
    ["MIXED_CAPTION_PLUS", undefined],
    ["", undefined],
    ["???", undefined],
    ["x".repeat(1e6), undefined],
  ])("to %.20s is %s", (typed, expected) => {
    expect(nearestName(typed, names)).toBe(expected);
  });

  it("counts edits", () => {
    expect(editDistance([..."kitten"], [..."sitting"])).toBe(3);
    expect(editDistance([], [1, 2])).toBe(2);
  });
});
