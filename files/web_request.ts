/**
 * A URL as `fetch` takes it. Credentials in a URL (https://user:password@host/) are refused by `fetch`, and repeated
 * in its error; here they go into the Authorization header, as other clients do.
 */
export function webRequest(url: URL): { readonly url: URL; readonly headers: Record<string, string> } {
  const { username, password } = url;
  if (username === "" && password === "") return { url, headers: {} };
  const bare = new URL(url);
  [bare.username, bare.password] = ["", ""];
  const text = new TextEncoder().encode(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
  return { url: bare, headers: { Authorization: `Basic ${btoa(String.fromCharCode(...text))}` } };
}

/** A URL without query, fragment and credentials: those may be secrets. */
export function shownUrl(url: URL): string {
  if (url.protocol === "file:") return url.pathname;
  return url.protocol === "blob:" ? url.href : `${url.origin}${url.pathname}`;
}

/** Why `fetch` failed, in words: a code such as ECONNREFUSED, "redirect count exceeded", or the browser's message. */
export function reasonOf(error: unknown): string {
  const { cause = error } = error as { cause?: unknown };
  const { code, message } = cause as { code?: unknown; message?: unknown };
  return String(code ?? message ?? cause);
}
