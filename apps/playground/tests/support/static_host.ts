import { fileURLToPath } from "node:url";
import { preview } from "vite";

export const files = fileURLToPath(new URL("../../dist/files", import.meta.url));

export interface StaticHost {
  /** Address of the page. */
  readonly url: string;
  close(): Promise<void>;
}

/** The built page on a host of static files, with the headers that isolate it or without any. */
export async function startStaticHost({ isIsolated = true, port = 0 } = {}): Promise<StaticHost> {
  const headers = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
  };
  const server = await preview({
    root: fileURLToPath(new URL("../..", import.meta.url)),
    configFile: false,
    logLevel: "error",
    build: { outDir: "dist/files" },
    preview: { port, ...(isIsolated && { headers }) },
  });
  return { url: server.resolvedUrls!.local[0]!, close: () => server.close() };
}
