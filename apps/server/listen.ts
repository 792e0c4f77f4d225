import { serve } from "@hono/node-server";
import type { Settings } from "./config/settings.ts";
import type { App } from "./openai/routes.ts";

/** Slower headers are an attack. */
const HEADERS_MILLISECONDS = 10_000;
/** For uploads; other bodies have a shorter clock of their own. */
const REQUEST_MILLISECONDS = 600_000;
const CLOSE_MILLISECONDS = 1000;
/** Longer than proxies and clients keep an idle connection (60 s and less): who closes first cannot lose a request. */
const KEEP_ALIVE_MILLISECONDS = 75_000;

export interface Listening {
  readonly address: string;
  readonly port: number;
  /** Takes no more connections, and waits a moment for those that there are. */
  close(): Promise<void>;
}

/** Serves an app on the address of the settings, in Node, Deno and Bun. */
export function listen(app: App, { host, port }: Pick<Settings, "host" | "port">): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const server = serve(
      {
        fetch: app.fetch,
        hostname: host,
        port,
        serverOptions: {
          headersTimeout: HEADERS_MILLISECONDS,
          requestTimeout: REQUEST_MILLISECONDS,
          keepAliveTimeout: KEEP_ALIVE_MILLISECONDS,
        },
        // It resets the connection half a second after an early answer (401, 429), which a client that is still
        // sending then never sees. node:http reads such a body to its end, within the time of a request.
        autoCleanupIncoming: false,
      },
      (info) => resolve({ ...info, close }),
    );
    server.once("error", reject);
    const close = async () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      if ("closeIdleConnections" in server) server.closeIdleConnections();
      await Promise.race([closed, new Promise((done) => setTimeout(done, CLOSE_MILLISECONDS))]);
    };
  });
}
