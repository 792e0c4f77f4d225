import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** A file of the playground, as it is sent. */
export interface PageFile {
  readonly type: string;
  readonly etag: string;
  /** Its name changes with its content. */
  readonly isForEver: boolean;
  read(): Promise<Uint8Array<ArrayBuffer>>;
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".txt": "text/plain; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".webmanifest": "application/manifest+json",
};

/** The folder of the built page in the package `florence2-playground`; undefined where it is not installed or built. */
export function playgroundFolder(): string | undefined {
  const inside = join("node_modules", "florence2-playground", "dist", "files");
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, inside, "index.html"))) return join(folder, inside);
    if (folder === dirname(folder)) return undefined;
  }
}

/** The files of a folder by their paths on the server. No other path reaches the disk. */
export function pageFiles(folder: string): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const path = join(folder, name);
    if (!statSync(path).isFile()) continue;
    const bytes = new Uint8Array(readFileSync(path));
    const shown = name.replaceAll("\\", "/");
    const [route, content] = shown === "index.html" ? ["/", servedPage(bytes)] : [`/${shown}`, bytes];
    files.set(route, {
      type: TYPES[extname(name)] ?? "application/octet-stream",
      etag: `"${createHash("sha256").update(content).digest("base64url").slice(0, 22)}"`,
      isForEver: shown.startsWith("assets/"),
      // The page is small and changed; all else stays on the disk.
      read: async () => (route === "/" ? content : new Uint8Array(await readFile(path))),
    });
  }
  return files;
}

/** The page with a mark by which it knows that a server answers at its own address. */
function servedPage(page: Uint8Array): Uint8Array<ArrayBuffer> {
  const text = new TextDecoder().decode(page);
  return new TextEncoder().encode(text.replace("<html ", "<html data-server "));
}

/** The Content-Security-Policy that the page states itself, for the header, and what only a header can say. */
export function policyOf(page: Uint8Array): string {
  const text = new TextDecoder().decode(page);
  const [, stated = "default-src 'none'"] = /Content-Security-Policy"\s+content="([^"]+)"/.exec(text) ?? [];
  return `${stated}; frame-ancestors 'none'`;
}
