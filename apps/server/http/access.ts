import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import type { MiddlewareHandler } from "hono";
import { isLoopback, SettingsError } from "../config/read_settings.ts";
import type { Variables } from "./context.ts";
import { ApiError } from "./errors.ts";

type Middleware = MiddlewareHandler<{ Variables: Variables }>;

interface Key {
  readonly name: string;
  readonly digest: Buffer;
}

const digestOf = (secret: string) => createHash("sha256").update(secret).digest();

/** Keys of the flags, and of a file with one a line: a secret, or a name and a secret. */
export function readKeys(secrets: readonly string[], file: string): Key[] {
  const keys = secrets.map((secret, i) => ({ name: `key${i + 1}`, digest: digestOf(secret) }));
  if (!file) return keys;
  let content: string;
  try {
    content = readFileSync(file, "utf8");
  } catch (error) {
    throw new SettingsError(`--api-key-file ${file}: ${(error as Error).message}`);
  }
  for (const [i, line] of content.split("\n").entries()) {
    const words = line.trim().split(/\s+/);
    if (words[0] === "" || words[0]!.startsWith("#")) continue;
    const [name, secret] = words.length === 1 ? [`line${i + 1}`, words[0]!] : (words as [string, string]);
    keys.push({ name, digest: digestOf(secret) });
  }
  if (keys.length === secrets.length) throw new SettingsError(`--api-key-file ${file} holds no key`);
  return keys;
}

/** Those that tell a supervisor of health. */
const OPEN_ROUTES = new Set(["/livez", "/readyz", "/health"]);

/**
 * Every route but the open ones and the files of the playground wants a key, if there are keys. All keys are compared,
 * each in constant time.
 */
export function requireKey(keys: readonly Key[], page: { has(path: string): boolean }): Middleware {
  return async (c, next) => {
    if (keys.length === 0 || OPEN_ROUTES.has(c.req.path) || page.has(c.req.path)) return next();
    const [, presented] = /^Bearer\s+(.+)$/i.exec(c.req.header("authorization") ?? "") ?? [];
    const digest = digestOf(presented ?? "");
    let found: Key | undefined;
    for (const key of keys) if (timingSafeEqual(key.digest, digest)) found = key;
    if (!found || presented === undefined)
      throw new ApiError(
        401,
        "invalid_api_key",
        presented === undefined
          ? "This server wants a key: Authorization: Bearer KEY."
          : "The key is not one of this server's.",
        {
          headers: { "www-authenticate": "Bearer" },
        },
      );
    c.get("record").keyName = found.name;
    return next();
  };
}

/**
 * Refuses requests for another name than the server's own while it listens on this machine alone: a page that has
 * its name resolve to 127.0.0.1 could read the answers (DNS rebinding).
 */
export function checkHost(host: string, allowedHosts: readonly string[]): Middleware {
  const isOpen = allowedHosts.includes("*") || (!isLoopback(host) && allowedHosts.length === 0);
  const names = new Set([
    ...["localhost", "127.0.0.1", "[::1]"],
    ...allowedHosts.map((name) => name.toLowerCase()),
  ]);
  return async (c, next) => {
    const given = c.req.header("host") ?? new URL(c.req.url).host;
    const name = given.toLowerCase().replace(/:\d+$/, "");
    if (!isOpen && !names.has(name))
      throw new ApiError(
        403,
        "host_not_allowed",
        "The Host header names another server; --allowed-hosts adds names.",
      );
    return next();
  };
}

const EXPOSED =
  "x-request-id, retry-after, retry-after-ms, openai-processing-ms, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, mcp-session-id";

/** CORS: pages of other origins may call only if they are listed; others are refused. */
export function checkOrigin(origins: readonly string[]): Middleware {
  return async (c, next) => {
    const origin = c.req.header("origin");
    if (origin === undefined) return next();
    const isOwn = origin.replace(/^https?:\/\//, "") === (c.req.header("host") ?? new URL(c.req.url).host);
    const isListed = origins.includes(origin);
    if (!isOwn && !isListed)
      throw new ApiError(
        403,
        "origin_not_allowed",
        "Pages of this origin may not call; --cors-origin adds origins.",
      );
    if (isListed) {
      c.header("access-control-allow-origin", origin);
      c.header("access-control-expose-headers", EXPOSED);
      c.header("vary", "Origin");
      if (c.req.method === "OPTIONS") {
        c.header("access-control-allow-methods", "GET, POST, DELETE");
        c.header(
          "access-control-allow-headers",
          c.req.header("access-control-request-headers") ?? "authorization, content-type",
        );
        c.header("access-control-max-age", "600");
        return c.body(null, 204);
      }
    }
    return next();
  };
}
