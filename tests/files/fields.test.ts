import { describe, expect, it } from "vitest";
import {
  hasMember,
  items,
  member,
  named,
  number,
  numbers,
  oneOf,
  only,
  text,
  texts,
  wholeFile,
} from "../../files/fields.ts";
import { florenceError } from "../support/errors.ts";

const root = wholeFile("a.json", { list: [{ name: "x" }, 7], "odd key": 1, none: null }, "data_invalid");

describe("fields", () => {
  it("are read by name and place", () => {
    const [first, second] = items(member(root, "list"));
    expect(text(member(first!, "name"))).toBe("x");
    expect(number(second!)).toBe(7);
    expect(hasMember(root, "none")).toBe(true);
    expect(hasMember(root, "toString")).toBe(false);
    expect(member(root, "toString").value).toBeUndefined();
    expect(only(member(root, "absent"), ["a"])).toBeUndefined();
    expect(only(member(root, "none"), [null])).toBe(null);
  });

  it.each([
    [
      () => text(member(items(member(root, "list"))[0]!, "size")),
      "a.json: list[0].size is missing. Expected a text.",
    ],
    [() => text(member(root, "odd key")), "a.json: odd key is 1. Expected a text."],
    [() => text(named(member(root, "list"), "odd key", 1)), 'a.json: list["odd key"] is 1. Expected a text.'],
    [() => member(items(member(root, "list"))[1]!, "name"), "a.json: list[1] is 7. Expected an object."],
    [() => items(member(root, "none"), "a list of names"), "a.json: none is null. Expected a list of names."],
    [() => texts(wholeFile("b", [])), "b is []. Expected one text or more."],
    [() => number(wholeFile("b", "1")), 'b is "1". Expected a number.'],
    [() => number(wholeFile("b", 3), { min: 0, max: 1 }), "b is 3. Expected a number from 0 to 1."],
    [
      () => numbers(wholeFile("b", [1, 2]), "three numbers", ({ length }) => length === 3),
      "Expected three numbers.",
    ],
    [() => oneOf(wholeFile("b", "c"), ["a", 1]), 'b is "c". Expected "a" or 1; nothing else is supported.'],
    [() => oneOf(wholeFile("b", undefined), ["a"]), "b is missing."],
  ])("that do not fit are errors: %#", (read, message) => {
    expect(read).toThrow(expect.objectContaining({ message: expect.stringContaining(message) }));
  });

  it("carry the code of their file", () => {
    expect(() => text(member(items(member(root, "list"))[0]!, "size"))).toThrow(
      florenceError("data_invalid"),
    );
    expect(() => text(wholeFile("b", 1))).toThrow(florenceError("config_invalid"));
  });
});
