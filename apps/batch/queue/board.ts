import { serve } from "@hono/node-server";
import { serveStatic } from "@hono/node-server/serve-static";
import { LINES_QUEUE } from "florence2-server/batches";
import { connectQueue, withQueue } from "florence2-server/chunks";
import { Florence2Error } from "florence2-webgpu";
import { Hono } from "hono";
import { QUEUE_NAME } from "./queue.ts";

export interface Board {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Shows the queue in a browser on this machine, by bull-board: chunks by their state, with buttons that try again or
 * remove them. Port 0 takes a free one.
 *
 * @throws {Florence2Error} `dependency_missing`; `option_invalid` if the port is taken; `download_failed` if the queue is
 *   away
 */
export async function openBoard(url: string, port: number): Promise<Board> {
  const { createBullBoard, BullMQAdapter, HonoAdapter } = await loadBullBoard();
  // Asked first, so that a server that is away is told here and not by a page that waits.
  await withQueue(url, QUEUE_NAME, async () => {});
  const { bullmq, backend, connection } = await connectQueue(url);
  const queues = [QUEUE_NAME, LINES_QUEUE].map(
    (name) => new bullmq.Queue(name, { connection: connection(true) }, backend),
  );
  for (const queue of queues) queue.on("error", () => {});
  const adapter = new HonoAdapter(serveStatic);
  createBullBoard({ queues: queues.map((queue) => new BullMQAdapter(queue)), serverAdapter: adapter });
  const app = new Hono();
  // Pages of other sites get nothing, also under a name of their own that leads here.
  app.use(async ({ req }, next) => {
    const isOwn = /^(127\.0\.0\.1|localhost)(:\d+)?$/.test(req.header("host") ?? "");
    const origin = req.header("origin");
    if (isOwn && (origin === undefined || new URL(origin).host === req.header("host"))) return next();
    return new Response("Open the board by its own address.\n", { status: 403 });
  });
  app.route("/", adapter.registerPlugin());
  let found = port;
  const server = await new Promise<ReturnType<typeof serve>>((ready, fail) => {
    const started = serve({ fetch: app.fetch, hostname: "127.0.0.1", port }, (info) => {
      found = info.port;
      ready(started);
    });
    started.once("error", (error) => {
      const message = `--port ${port} cannot be used: ${error.message}`;
      fail(new Florence2Error("option_invalid", message, { port }, error));
    });
  });
  return {
    url: `http://127.0.0.1:${found}`,
    async close() {
      const closed = new Promise((done) => server.close(done));
      if ("closeAllConnections" in server) server.closeAllConnections();
      await closed;
      await Promise.all(queues.map((queue) => queue.close().catch(() => {})));
    },
  };
}

async function loadBullBoard() {
  try {
    const [{ createBullBoard }, { BullMQAdapter }, { HonoAdapter }] = await Promise.all([
      import("@bull-board/api"),
      import("@bull-board/api/bullMQAdapter"),
      import("@bull-board/hono"),
    ]);
    return { createBullBoard, BullMQAdapter, HonoAdapter };
  } catch (error) {
    const message =
      "florence2-batch board needs the packages of bull-board: npm install @bull-board/api @bull-board/hono";
    throw new Florence2Error("dependency_missing", message, {}, error);
  }
}
