import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Florence2Error } from "florence2-webgpu";
import { Counter, Gauge, Registry } from "prom-client";
import type { Row } from "../chunk/rows.ts";
import type { ChunkEnd } from "../chunk/run_chunk.ts";

/** The metrics of a worker, for Prometheus. */
export class WorkerMetrics {
  readonly #registry = new Registry();
  readonly #linesOf: () => Promise<string>;
  readonly #images = new Counter({
    name: "florence2_batch_images_total",
    help: "Images with a row, by status",
    labelNames: ["status"],
    registers: [this.#registry],
  });
  readonly #errors = new Counter({
    name: "florence2_batch_errors_total",
    help: "Images without an answer, by code",
    labelNames: ["code"],
    registers: [this.#registry],
  });
  readonly #chunks = new Counter({
    name: "florence2_batch_chunks_total",
    help: "Chunks by how they ended: done, there (another worker was first), cancelled",
    labelNames: ["state"],
    registers: [this.#registry],
  });
  readonly #last = new Gauge({
    name: "florence2_batch_last_rows_timestamp_seconds",
    help: "When the last rows were written",
    registers: [this.#registry],
  });

  /** @param linesOf the counts of the servers' batches */
  constructor(linesOf: () => Promise<string>) {
    this.#linesOf = linesOf;
  }

  add(rows: readonly Row[]): void {
    for (const row of rows) {
      this.#images.inc({ status: row.status });
      if (row.status === "error") this.#errors.inc({ code: row.error.code });
    }
    this.#last.setToCurrentTime();
  }

  endChunk({ state }: ChunkEnd): void {
    this.#chunks.inc({ state });
  }

  async text(): Promise<string> {
    return `${await this.#registry.metrics()}${await this.#linesOf()}\n`;
  }
}

/**
 * Answers `GET /metrics` on a port; 0 takes a free one.
 *
 * @throws {Florence2Error} `option_invalid` if the port is taken
 */
export async function serveMetrics(
  metrics: WorkerMetrics,
  port: number,
): Promise<{ readonly port: number; close(): void }> {
  const server = createServer(async (request, response) => {
    const isKnown = request.url === "/metrics";
    response.writeHead(isKnown ? 200 : 404, { "content-type": "text/plain; version=0.0.4" });
    response.end(isKnown ? await metrics.text() : "");
  });
  await new Promise<void>((ready, fail) => {
    server.once("error", (error) => {
      const message = `--metrics-port ${port} cannot be used: ${error.message}`;
      fail(new Florence2Error("option_invalid", message, { port }, error));
    });
    server.listen(port, ready);
  });
  // Metrics alone keep no process alive.
  server.unref();
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
}
