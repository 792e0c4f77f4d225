// Confidences: exp(mean log-probability) of a region's own location tokens.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { decodeGenerated, parseAnswer } from "../../../model/tasks/index.ts";
import { Tokenizer } from "../../../tokenizer/index.ts";

const tokenizer = Tokenizer.fromFiles({
  "tokenizer.json": readFileSync(new URL("../../fixtures/tokenizer/tokenizer.json", import.meta.url), "utf8"),
});
const size = { width: 640, height: 480 };
const [START, BOS, EOS, PAD] = [tokenizer.eosId, tokenizer.bosId, tokenizer.eosId, tokenizer.padId];
const ids = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
const locations = (...bins: number[]) => bins.map((bin) => tokenizer.locationToken(bin));
const mean = (...values: number[]) => Math.exp(values.reduce((sum, value) => sum + value) / values.length);

/** A sequence whose n-th generated token has the log-probability -n / 100. */
function counted(...parts: (number | number[])[]) {
  const tokens = [START, ...parts.flat()];
  return decodeGenerated(
    tokenizer,
    tokens,
    tokens.slice(1).map((_, i) => -i / 100),
  );
}

/** Scores of regions by the places of their tokens in the sequence, as `counted` counts. */
const scoresOf = (...places: number[][]) => places.map((own) => mean(...own.map((place) => -place / 100)));

function expectScores(found: number[] | undefined, expected: number[]) {
  expect(found).toHaveLength(expected.length);
  for (const [i, score] of expected.entries()) expect(found![i]).toBeCloseTo(score, 12);
}

describe("confidences", () => {
  it("are those of Microsoft's processor", () => {
    const [car, wheel] = [ids("a"), ids("b")];
    const boxes = [
      locations(52, 333, 932, 774),
      locations(709, 576, 865, 772),
      locations(150, 584, 309, 773),
    ];
    const tokens = [START, BOS, car, boxes[0]!, wheel, boxes[1]!, boxes[2]!, EOS].flat();
    const logProbs = Float32Array.from(tokens.slice(1), (_, i) => -i / 10);
    const { scores, labels } = parseAnswer("<OD>", decodeGenerated(tokenizer, tokens, logProbs), size);
    expect(labels).toEqual(["a", "b", "b"]);
    expectScores(scores, [0.7046880860434787, 0.4274149344963182, 0.2865047968601901]);
  });

  it("do not shift with start tokens, odd text and split characters", () => {
    const character = ids("\u{10abcd}");
    const sequence = counted(
      BOS,
      BOS,
      BOS,
      ids("a"),
      locations(1, 2, 3),
      character,
      ids("b"),
      locations(5, 6, 7, 8),
      EOS,
      PAD,
    );
    const first = 3 + 1 + 3 + character.length + 1;
    const { labels, scores } = parseAnswer("<OD>", sequence, size);
    expect(labels).toEqual(["\u{10abcd}b"]);
    expectScores(scores, scoresOf([first, first + 1, first + 2, first + 3]));
  });

  it("leave out what is not the region's own", () => {
    const sequence = counted(
      BOS,
      locations(9),
      ids("a"),
      locations(1, 2, 3, 4, 5),
      ids("b"),
      locations(1, 2, 3, 4),
    );
    const expected = scoresOf([3, 4, 5, 6], [9, 10, 11, 12]);
    expectScores(parseAnswer("<OD>", sequence, size).scores, expected);
    expectScores(parseAnswer("<OPEN_VOCABULARY_DETECTION>", sequence, size).scores, expected);
    expect(parseAnswer("<OPEN_VOCABULARY_DETECTION>", sequence, size).polygons_scores).toEqual([]);
    // Without labels the run of five gives one box, and the lone location none.
    expectScores(parseAnswer("<REGION_PROPOSAL>", sequence, size).scores, expected);
  });

  it("come with phrases, but for those that are left out", () => {
    const sequence = counted(
      BOS,
      ids("a"),
      locations(1, 2, 3, 4),
      ids("x"),
      locations(1, 2, 3, 4, 5, 6, 7, 8),
    );
    const { labels, scores } = parseAnswer("<CAPTION_TO_PHRASE_GROUNDING>", sequence, size);
    expect(labels).toEqual(["x", "x"]);
    expectScores(scores, scoresOf([7, 8, 9, 10], [11, 12, 13, 14]));
  });

  it("come with lines of text", () => {
    const quad = locations(1, 2, 3, 4, 5, 6, 7, 8);
    const sequence = counted(BOS, ids("a"), quad, ids("b"), quad, EOS);
    const { labels, scores } = parseAnswer("<OCR_WITH_REGION>", sequence, size);
    expect(labels).toEqual(["a", "b"]);
    expectScores(scores, scoresOf([2, 3, 4, 5, 6, 7, 8, 9], [11, 12, 13, 14, 15, 16, 17, 18]));
  });

  it("come with masks: one of two outlines, and one between tags", () => {
    const [sep, open, close] = ["<sep>", "<poly>", "</poly>"].map((tag) => tokenizer.tokenToId(tag)!);
    const outlines = counted(BOS, locations(1, 2, 3), sep!, locations(4, 5, 6, 7), EOS);
    const answer = parseAnswer("<REFERRING_EXPRESSION_SEGMENTATION>", outlines, size);
    expect(answer.polygons.map((mask) => mask.map((outline) => outline.length))).toEqual([[2, 4]]);
    expectScores(answer.scores, scoresOf([1, 2, 3, 5, 6, 7, 8]));

    const masks = counted(
      BOS,
      ids("a"),
      open!,
      locations(1, 2),
      close!,
      open!,
      locations(3, 4, 5, 6),
      close!,
    );
    const { polygons_scores, scores } = parseAnswer("<OPEN_VOCABULARY_DETECTION>", masks, size);
    expectScores(polygons_scores, scoresOf([3, 4], [7, 8, 9, 10]));
    expect(scores).toEqual([]);
  });

  it("are absent without log-probabilities and empty without regions", () => {
    expect(parseAnswer("<OD>", "a<loc_1><loc_2><loc_3><loc_4>", size)).not.toHaveProperty("scores");
    expect(parseAnswer("<OPEN_VOCABULARY_DETECTION>", "", size)).toEqual({
      bboxes: [],
      bboxes_labels: [],
      polygons: [],
      polygons_labels: [],
    });
    expect(parseAnswer("<OD>", counted(BOS, EOS), size)).toEqual({ bboxes: [], labels: [], scores: [] });
    expect(parseAnswer("<CAPTION>", counted(BOS, ids("a"), EOS), size)).toBe("a");
  });

  it("need one log-probability for each generated token", () => {
    expect(() => decodeGenerated(tokenizer, [START, BOS, EOS], [0])).toThrow(
      expect.objectContaining({ code: "token_invalid" }),
    );
  });
});
