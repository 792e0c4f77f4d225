import { describe, expect, it } from "vitest";
import { quote } from "../../core/errors.ts";

describe("a value in an error message", () => {
  const circular: { self?: unknown } = {};
  circular.self = circular;
  it.each([
    ["a\n\x00", '"a\\n\\u0000"'],
    [7, "7"],
    [Number.NaN, "NaN"],
    [-0, "0"],
    [5n, "5"],
    [null, "null"],
    [undefined, "undefined"],
    [true, "true"],
    [[1, "b", null], '[1,"b",null]'],
    [{ a: 1 }, '{"a":1}'],
    [Object.create(null), "{}"],
    [() => 5, "a function"],
    [class Dog {}, "a function"],
    [new Map(), "of type Map"],
    [new Uint8Array(5000), "of type Uint8Array"],
    [circular, "of type object"],
    [Symbol("s"), "Symbol(s)"],
  ])("%s is %s", (value, expected) => {
    expect(quote(value)).toBe(expected);
  });

  it("is cut", () => {
    expect(quote("x".repeat(4e6))).toBe(`"${"x".repeat(95)}…"`);
    expect(quote(Array(1000).fill(1))).toHaveLength(97);
  });
});
