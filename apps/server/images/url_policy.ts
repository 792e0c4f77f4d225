import ipaddr from "ipaddr.js";
import { badRequest } from "../http/errors.ts";

export interface UrlPolicy {
  /** `any` stands for private addresses and other ports as well: for lists of one's own, never for requests of others. */
  readonly imageUrls: "public" | "list" | "off" | "any";
  /** Exact names, or `*.name` for all below one. */
  readonly allowedMediaDomains: readonly string[];
  readonly imageUrlSchemes: readonly string[];
}

const PORTS: Readonly<Record<string, string>> = { "https:": "443", "http:": "80" };

/** An address of the public internet, in either family; mapped, translated and tunnelled ones are unwrapped or refused. */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  return ipaddr.process(address).range() === "unicast";
}

/** The same words for every refusal: they must not reveal the addresses of a name. */
export function refused(param: string, why = "its address is not one that images are fetched from") {
  return badRequest("image_url_not_allowed", `The image's URL is refused: ${why}.`, param);
}

const NO_URL =
  "The image is no URL: send data:image/png;base64,... or an https: URL; paths and bare base64 are not taken.";

/**
 * A URL that may be fetched, parsed once: fetch the result, never the text again.
 *
 * @throws {ApiError} 400 `image_url_not_allowed` for a scheme, host, port or form that is not allowed
 */
export function parseImageUrl(
  text: string | URL,
  policy: UrlPolicy,
  param: string,
  isAllowedAddress = isPublicAddress,
  ports: Readonly<Record<string, string>> = PORTS,
): URL {
  if (policy.imageUrls === "off") throw refused(param, "this server fetches no images; send a data: URL");
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw badRequest("invalid_image", NO_URL, param);
  }
  const scheme = url.protocol.slice(0, -1);
  if (!policy.imageUrlSchemes.includes(scheme))
    throw refused(param, `only ${policy.imageUrlSchemes.join(" and ")} and data: are taken`);
  if (url.username || url.password) throw refused(param, "it has credentials");
  if (policy.imageUrls === "any") return url;
  const port = url.port || PORTS[url.protocol];
  if (port !== ports[url.protocol] && port !== PORTS[url.protocol])
    throw refused(param, "its port is not the usual one");
  const host = hostOf(url);
  if (policy.imageUrls === "list" && !isListed(host, policy.allowedMediaDomains))
    throw refused(param, "its host is not on this server's list");
  // Names are checked when they are resolved; `lookup` is not called for addresses.
  if (ipaddr.isValid(host) && !isAllowedAddress(host)) throw refused(param);
  return url;
}

/** Lower case, without brackets and a trailing dot. */
export const hostOf = (url: URL): string =>
  url.hostname
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "")
    .toLowerCase();

function isListed(host: string, domains: readonly string[]): boolean {
  return domains.some((domain) => {
    const name = domain.toLowerCase().replace(/\.$/, "");
    return name.startsWith("*.") ? host.endsWith(name.slice(1)) : host === name;
  });
}
