import { lookup as resolve } from "node:dns";
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import type { LookupFunction } from "node:net";
import { raced } from "../engine/signals.ts";
import { ApiError, badRequest } from "../http/errors.ts";
import { hostOf, isPublicAddress, parseImageUrl, refused, type UrlPolicy } from "./url_policy.ts";

export interface FetchOptions extends UrlPolicy {
  readonly maxImageBytes: number;
  /** In milliseconds, redirects included. */
  readonly imageUrlTimeout: number;
  /** For tests: another resolver, other addresses and ports. */
  readonly resolve?: typeof resolve;
  readonly isAllowedAddress?: (address: string) => boolean;
  readonly ports?: Readonly<Record<string, string>>;
}

const MAX_REDIRECTS = 3;
const MAX_AT_ONCE = 16;
const MAX_AT_ONCE_PER_HOST = 4;

interface Answer {
  readonly response: IncomingMessage;
  readonly close: () => void;
}

/** Fetches images from hosts of the public internet only; redirects and resolved addresses are checked as well. */
export class ImageFetcher {
  readonly #options: FetchOptions;
  readonly #isAllowed: (address: string) => boolean;
  readonly #fetches = new Map<string, Promise<Uint8Array>>();
  readonly #perHost = new Map<string, number>();
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(options: FetchOptions) {
    this.#options = options;
    const isAllowed = options.imageUrls === "any" ? () => true : isPublicAddress;
    this.#isAllowed = options.isAllowedAddress ?? isAllowed;
  }

  /** The bytes behind a URL, at most `maxImageBytes`. Requests for the same URL at the same time share one fetch. */
  async fetch(text: string, param: string, signal: AbortSignal): Promise<Uint8Array> {
    const url = this.#parse(text, param);
    url.hash = "";
    const known = this.#fetches.get(url.href);
    const fetched = known ?? this.#open(url, param);
    if (!known) {
      this.#fetches.set(url.href, fetched);
      const forget = () => this.#fetches.delete(url.href);
      fetched.then(forget, forget);
    }
    return raced(fetched, signal);
  }

  #parse(text: string | URL, param: string): URL {
    return parseImageUrl(text, this.#options, param, this.#isAllowed, this.#options.ports);
  }

  async #open(url: URL, param: string): Promise<Uint8Array> {
    const { imageUrlTimeout } = this.#options;
    const clock = new AbortController();
    const timer = setTimeout(() => clock.abort(), imageUrlTimeout);
    const host = hostOf(url);
    let leave: (() => void) | undefined;
    try {
      leave = await this.#turn(host, clock.signal);
      return await this.#follow(url, param, clock.signal);
    } catch (error) {
      if (error instanceof ApiError) throw error;
      if (clock.signal.aborted)
        throw new ApiError(
          504,
          "image_download_failed",
          `${host} did not send the image within ${imageUrlTimeout / 1000} s.`,
          { param },
        );
      throw new ApiError(502, "image_download_failed", `The image could not be fetched from ${host}.`, {
        param,
        cause: error,
      });
    } finally {
      clearTimeout(timer);
      leave?.();
    }
  }

  async #follow(first: URL, param: string, signal: AbortSignal): Promise<Uint8Array> {
    let url = first;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const { response, close } = await this.#request(url, param, signal);
      try {
        const { statusCode: status = 0, headers } = response;
        if (status >= 300 && status < 400 && headers.location) {
          const next = this.#parse(new URL(headers.location, url), param);
          if (url.protocol === "https:" && next.protocol === "http:")
            throw refused(param, "it leads from https to http");
          url = next;
          continue;
        }
        if (status !== 200) throw failed(hostOf(url), status, param);
        return await this.#read(response, param);
      } finally {
        close();
      }
    }
    throw refused(param, `it leads through more than ${MAX_REDIRECTS} redirects`);
  }

  #request(url: URL, param: string, signal: AbortSignal): Promise<Answer> {
    return new Promise((done, fail) => {
      const { request } = url.protocol === "https:" ? https : http;
      const sent = request(url, {
        // No connection is kept: one that was checked for a name must not serve another.
        agent: false,
        lookup: this.#lookup(param),
        signal,
        headers: { accept: "image/*", "accept-encoding": "identity", "user-agent": "florence2-server" },
      });
      sent.on("socket", (socket) =>
        socket.on(url.protocol === "https:" ? "secureConnect" : "connect", () => {
          if (!this.#isAllowed(socket.remoteAddress ?? "")) sent.destroy(refused(param));
        }),
      );
      sent.on("response", (response) => done({ response, close: () => sent.destroy() }));
      sent.on("error", fail);
      sent.end();
    });
  }

  /** Resolves a name and connects to the addresses that were checked; one forbidden address refuses all. */
  #lookup(param: string): LookupFunction {
    return (hostname, options, callback) => {
      (this.#options.resolve ?? resolve)(hostname, { ...options, all: true }, (error, addresses) => {
        const found = addresses ?? [];
        const fail = (reason: Error) => callback(reason, "", 0);
        if (error) fail(error);
        else if (found.length === 0 || !found.every(({ address }) => this.#isAllowed(address)))
          fail(refused(param));
        else if (options.all) callback(null, found as never, 0);
        else callback(null, found[0]!.address, found[0]!.family);
      });
    };
  }

  async #read(response: IncomingMessage, param: string): Promise<Uint8Array> {
    const { maxImageBytes } = this.#options;
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxImageBytes)
        throw new ApiError(413, "image_too_large", `The image has more than ${maxImageBytes} bytes.`, {
          param,
        });
      chunks.push(chunk);
    }
    if (!response.complete) throw new Error("the connection broke");
    return Buffer.concat(chunks, length);
  }

  /** Waits until neither all fetches nor those of one host are too many. */
  async #turn(host: string, signal: AbortSignal): Promise<() => void> {
    const ofHost = () => this.#perHost.get(host) ?? 0;
    while (this.#running >= MAX_AT_ONCE || ofHost() >= MAX_AT_ONCE_PER_HOST) {
      await raced(new Promise<void>((wake) => this.#waiting.add(wake)), signal);
    }
    this.#running++;
    this.#perHost.set(host, ofHost() + 1);
    return () => {
      this.#running--;
      const left = ofHost() - 1;
      if (left > 0) this.#perHost.set(host, left);
      else this.#perHost.delete(host);
      const woken = [...this.#waiting];
      this.#waiting.clear();
      for (const wake of woken) wake();
    };
  }
}

function failed(host: string, status: number, param: string): ApiError {
  const message = `${host} answered ${status} for the image.`;
  if (status >= 500) return new ApiError(502, "image_download_failed", message, { param });
  return badRequest("image_download_failed", message, param);
}
