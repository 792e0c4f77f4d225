import { ApiError } from "../http/errors.ts";

/** The names that requests may use for the model; the first is its own. */
export class ModelNames {
  readonly own: string;
  readonly all: readonly string[];

  constructor(source: string, further: readonly string[]) {
    this.own = nameOf(source);
    this.all = [...new Set([this.own, ...further])];
  }

  /** @throws {ApiError} 404 `model_not_found` */
  expect(name: string): void {
    if (this.all.includes(name)) return;
    throw new ApiError(
      404,
      "model_not_found",
      `There is no model of this name; this server has ${this.all.join(", ")}.`,
      {
        param: "model",
      },
    );
  }
}

/**
 * A name without the folders or the host that its source names.
 *
 * @example nameOf("microsoft/Florence-2-base") // "microsoft/Florence-2-base"
 * @example nameOf("/models/Florence-2-large-ft/") // "Florence-2-large-ft"
 */
function nameOf(source: string): string {
  if (source === "") return "florence2-nano";
  if (/^[\w.-]+\/[\w.-]+$/.test(source) && !source.startsWith(".")) return source;
  return (
    source
      .replace(/[/\\]+$/, "")
      .split(/[/\\]/)
      .at(-1) || "florence2"
  );
}
