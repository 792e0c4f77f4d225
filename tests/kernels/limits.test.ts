/** Limits that kernels state for others: what is just within them is recorded, what is beyond is refused. */
import { describe, expect, it } from "vitest";
import { Recording } from "../../core/recording.ts";
import { newTensor } from "../../core/tensor.ts";
import {
  cachedAttention,
  MAX_HEAD_WIDTH as MAX_CACHED_HEAD_WIDTH,
} from "../../kernels/cached_attention/cached_attention.ts";
import { channelScores, MAX_GROUP_WIDTH } from "../../kernels/channel_scores/channel_scores.ts";
import {
  crossAttention,
  MAX_HEAD_WIDTH as MAX_CROSS_HEAD_WIDTH,
} from "../../kernels/cross_attention/cross_attention.ts";
import {
  encoderAttention,
  MAX_HEAD_WIDTH as MAX_ENCODER_HEAD_WIDTH,
} from "../../kernels/encoder_attention/encoder_attention.ts";
import { convolvedSide } from "../../kernels/shared/convolved_side.ts";
import {
  MAX_WINDOW,
  MAX_HEAD_WIDTH as MAX_WINDOW_HEAD_WIDTH,
  windowAttention,
} from "../../kernels/window_attention/window_attention.ts";

const f32 = (...shape: number[]) => newTensor("tensor", shape, "f32", "owned");
const u32 = (...shape: number[]) => newTensor("tensor", shape, "u32", "owned");

const window = (D: number, side: number) =>
  windowAttention(new Recording(), f32(4, 3 * D), f32(3 * D), {
    height: 2,
    width: 2,
    heads: 1,
    window: side,
    out: f32(4, D),
  });
const norm = (C: number) => ({ weight: f32(C), bias: f32(C) });

const limits: [string, number, number, (size: number) => unknown][] = [
  ["the side of a window", MAX_WINDOW, 1, (side) => window(32, side)],
  ["a head of window attention", MAX_WINDOW_HEAD_WIDTH, 4, (D) => window(D, 12)],
  [
    "a group of channel attention",
    MAX_GROUP_WIDTH,
    4,
    (D) =>
      channelScores(
        new Recording(),
        { rows: f32(4, D), norm: norm(D) },
        { weight: f32(3 * D, D), bias: f32(3 * D) },
        1,
      ),
  ],
  [
    "a head of the encoder",
    MAX_ENCODER_HEAD_WIDTH,
    4,
    (D) => encoderAttention(new Recording(), f32(2, 3 * D), 1),
  ],
  [
    "a head of the decoder",
    MAX_CACHED_HEAD_WIDTH,
    4,
    (D) => cachedAttention(new Recording(), f32(1, 3 * D), f32(2, 1, D), f32(2, 1, D), u32(1, 2), u32(1), 1),
  ],
  [
    "a head of cross-attention",
    MAX_CROSS_HEAD_WIDTH,
    4,
    (D) =>
      crossAttention(
        new Recording(),
        { rows: f32(1, D), norm: norm(D) },
        { weight: f32(D, D), bias: f32(D) },
        f32(1, 2, 2 * D),
        u32(1),
        1,
      ),
  ],
];

describe("a kernel's own limit", () => {
  it.each(limits)("of %s is %i, and not more", (_, most, step, record) => {
    expect(() => record(most)).not.toThrow();
    expect(() => record(most + step)).toThrow(expect.objectContaining({ code: "shape_mismatch" }));
  });
});

it("a convolution's side counts whole strides, and is below 1 where the filter does not fit", () => {
  expect(convolvedSide(768, { kernel: 7, stride: 4, padding: 3 })).toBe(192);
  expect(convolvedSide(9, { kernel: 3, stride: 2, padding: 1 })).toBe(5);
  expect(convolvedSide(2, { kernel: 16, stride: 16, padding: 0 })).toBeLessThan(1);
});
