import { describe, expect, it, vi } from "vitest";
import { isRepositoryId } from "../../files/hub/repository.ts";
import { openModelFiles } from "../../files/open_model_files.ts";
import { florenceError } from "../support/errors.ts";
import { folder, hub } from "../support/tiny_hub.ts";

describe("a source", () => {
  it.each([
    ["microsoft/Florence-2-base", true],
    ["a/b", true],
    ["florence-community/Florence-2-large-ft", true],
    ["models", false],
    ["a/b/c", false],
    ["./a/b", false],
    ["../b", false],
    ["/a/b", false],
    ["a\\b", false],
    ["a/..", false],
    ["a--b/c", false],
    ["a/b.git", false],
    ["a/b-", false],
    [`a/${"b".repeat(97)}`, false],
    ["a/b c", false],
  ])("%j: the id of a repository? %j", (source, expected) => {
    expect(isRepositoryId(source)).toBe(expected);
  });

  it("that is neither a folder nor an id is refused in so many words", async () => {
    await expect(openModelFiles("./models/florence", [])).rejects.toEqual(
      florenceError(
        "file_not_found",
        "./models/florence",
        "neither a folder here nor the id of a repository",
      ),
    );
    vi.stubEnv("HF_ENDPOINT", hub.url);
    vi.stubEnv("HF_HOME", folder);
    await expect(openModelFiles("models/florence", [["config.json"]])).rejects.toEqual(
      florenceError("repository_not_found", "no folder models/florence here", hub.url),
    );
  });

  it("that is a folder is one, even if it looks like an id", async () => {
    vi.stubEnv("HF_ENDPOINT", hub.url);
    const read = await openModelFiles("checkpoints/nano", []);
    expect(await read.has("config.json")).toBe(true);
    expect(hub.requests).toEqual([]);
  });
});
