import { describe, expect, it } from "vitest";
import { florenceError } from "../../support/errors.ts";
import { cacheIn, contentOf } from "../../support/hub_cache.ts";
import { REPOSITORY, status } from "../../support/hub_server.ts";
import { asked, fetchAll, folder, hub } from "../../support/tiny_hub.ts";

describe("access", () => {
  const TOKEN = "hf_secret";
  const fetchWith = (token?: string) => contentOf(cacheIn(folder, hub, { token }), "config.json");

  it("goes by a token, which no other host gets to see", async () => {
    hub.access = { token: TOKEN, isGated: false };
    await fetchAll({ token: TOKEN });
    for (const { host, headers } of hub.requests) {
      expect(headers.authorization).toBe(host === "hub" ? `Bearer ${TOKEN}` : undefined);
    }
    expect(asked("GET").some(({ host }) => host === "cdn")).toBe(true);
  });

  it("is refused with what to do about it", async () => {
    hub.access = { token: TOKEN, isGated: false };
    await expect(fetchWith()).rejects.toEqual(
      florenceError("repository_not_found", "no folder", "HF_TOKEN", REPOSITORY),
    );
    await expect(fetchWith("hf_other")).rejects.toEqual(
      florenceError("repository_not_found", "token in use"),
    );
    hub.access = { token: TOKEN, isGated: true };
    await expect(fetchWith()).rejects.toEqual(
      florenceError("access_denied", "accept its terms", `${hub.url}/${REPOSITORY}`),
    );
    hub.faults = [status(401, { "x-error-message": "Invalid credentials in Authorization header" })];
    const error = await fetchWith("hf_other").catch((reason: Error) => reason);
    expect(error).toEqual(florenceError("access_denied", "settings/tokens", "HF_TOKEN"));
    expect(String(error)).not.toContain("hf_other");
    expect(() => cacheIn(folder, hub, { token: "two words" })).toThrow(
      florenceError("option_invalid", "token"),
    );
  });
});
