import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

/** Metrics for Prometheus. Labels come from fixed lists: no path, key, prompt or address of a caller. */
export class Metrics {
  readonly registry = new Registry();

  readonly requests = this.#counter("florence2_requests_total", "Questions answered or failed", [
    "task",
    "code",
  ]);
  readonly requestSeconds = this.#histogram(
    "florence2_request_duration_seconds",
    "From arrival to the last byte",
    ["task"],
  );
  readonly queueSeconds = this.#histogram("florence2_queue_seconds", "Wait for a turn at the model");
  readonly inferenceSeconds = this.#histogram(
    "florence2_inference_seconds",
    "At the model, the look at the image included",
    ["task"],
  );
  readonly firstTokenSeconds = this.#histogram(
    "florence2_time_to_first_token_seconds",
    "From arrival to the first part of a stream",
  );
  readonly encodeSeconds = this.#histogram(
    "florence2_image_encode_seconds",
    "Decoding an image and looking at it",
  );
  readonly fetchSeconds = this.#histogram("florence2_image_fetch_seconds", "Fetching an image from a URL");
  readonly concurrency = this.#histogram(
    "florence2_concurrency",
    "Requests at the model when one more starts, itself included",
    [],
    [1, 2, 4, 8, 16, 32, 64],
  );
  readonly promptTokens = this.#counter(
    "florence2_prompt_tokens_total",
    "Tokens of prompts, those of images included",
  );
  readonly generationTokens = this.#counter("florence2_generation_tokens_total", "Tokens generated");
  readonly images = this.#counter("florence2_images_total", "Images by the way they came", ["source"]);
  readonly cacheHits = this.#counter(
    "florence2_image_cache_hits_total",
    "Images that had been looked at before",
  );
  readonly rejected = this.#counter("florence2_rejected_total", "Requests that were not accepted", [
    "reason",
  ]);
  readonly deviceLost = this.#counter("florence2_device_lost_total", "Losses of the device");
  readonly batchLines = this.#counter("florence2_batch_lines_total", "Lines of batches", ["result"]);
  readonly httpRequests = this.#counter("http_requests_total", "HTTP requests", [
    "method",
    "route",
    "status",
  ]);
  readonly httpSeconds = this.#histogram("http_request_duration_seconds", "HTTP requests, to the last byte", [
    "method",
    "route",
  ]);
  readonly info = new Gauge({
    name: "florence2_info",
    help: "Always 1; what runs",
    labelNames: ["version", "model", "dtype", "device"],
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** A value that is asked for whenever the metrics are. */
  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  #counter<const L extends string>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram<const L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    buckets = SECONDS,
  ): Histogram<L> {
    return new Histogram({ name, help, labelNames, buckets, registers: [this.registry] });
  }
}
