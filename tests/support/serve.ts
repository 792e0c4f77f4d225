import { fileURLToPath } from "node:url";
import { preview } from "vite";

/** The repository's files for a browser of this machine. */
export interface Served {
  /** Address of a page without content. */
  readonly page: string;
  close(): Promise<void>;
}

/** Serves the repository's files, isolated from other origins, so that threads may share memory. */
export async function serve(): Promise<Served> {
  const server = await preview({
    root: fileURLToPath(new URL("../..", import.meta.url)),
    configFile: false,
    logLevel: "error",
    appType: "mpa",
    build: { outDir: "." },
    preview: {
      port: 0,
      headers: {
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
      },
    },
  });
  const [root] = server.resolvedUrls!.local;
  return { page: `${root}tests/support/empty.html`, close: () => server.close() };
}
