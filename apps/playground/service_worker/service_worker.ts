/**
 * Keeps the page, the bundled checkpoint and the samples, so that the page works off line after the first visit.
 * Its answers carry the headers that isolate a page from other origins: a static host that cannot set them still gets
 * threads. Models of a hub are in the library's own cache.
 */

/** Written by the build: the files of the page, and a name that changes with them. */
declare const FILES: readonly string[];
declare const VERSION: string;

interface Extendable extends Event {
  waitUntil(promise: Promise<unknown>): void;
}
interface Fetched extends Extendable {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}
const worker = globalThis as unknown as {
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(type: "install" | "activate", listener: (event: Extendable) => void): void;
  addEventListener(type: "fetch", listener: (event: Fetched) => void): void;
};

const PREFIX = "florence2-playground-";
const CACHE = `${PREFIX}${VERSION}`;
const { scope } = worker.registration;
const own = new Set(FILES.map((file) => new URL(file, scope).href));

worker.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll([scope, ...own]))
      .then(() => worker.skipWaiting()),
  );
});

worker.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => names.filter((name) => name.startsWith(PREFIX) && name !== CACHE))
      .then((names) => Promise.all(names.map((name) => caches.delete(name))))
      .then(() => worker.clients.claim()),
  );
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const address = request.url.replace(/[?#].*$/, "");
  if (request.method !== "GET") return;
  if (address === scope || address === `${scope}index.html`) event.respondWith(page(request));
  else if (own.has(address)) event.respondWith(file(request, address));
  // A model may lack files that others have; without a network nobody else says so.
  else if (address.startsWith(`${scope}model/`)) event.respondWith(absent());
});

/** The page as the network has it now, else as it was kept. */
async function page(request: Request): Promise<Response> {
  const fresh = await fetch(request).catch(() => undefined);
  if (fresh?.ok) return isolated(fresh);
  const kept = await caches.match(scope);
  return kept ? isolated(kept) : (fresh ?? Response.error());
}

/** A build keeps all of its files together. */
async function file(request: Request, address: string): Promise<Response> {
  const kept = await (await caches.open(CACHE)).match(address);
  return isolated(kept ?? (await fetch(request)));
}

const absent = async () => isolated(new Response(null, { status: 404 }));

function isolated(response: Response): Response {
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
