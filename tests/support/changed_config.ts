import { expect } from "vitest";
import type { JsonObject, JsonValue } from "../../files/json.ts";
import { released, type Sections } from "../../measure/generated/configurations.ts";
import { parseConfig } from "../../model/config/config.ts";
import { florenceError } from "./errors.ts";

/** Expects that a configuration is refused with these words. */
export function rejects(config: JsonValue, ...patterns: readonly (string | RegExp)[]): void {
  expect(() => parseConfig(config)).toThrow(florenceError("config_invalid", ...patterns));
}

/** Microsoft's base with some fields of a section changed. */
export function changed(section: "vision_config" | "text_config", fields: JsonObject): Sections {
  const config = released("base");
  Object.assign(config[section], fields);
  return config;
}
