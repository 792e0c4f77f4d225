import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fakeEngine } from "../support/fake_engine.ts";
import { chatAbout, openService, type TestService } from "../support/service.ts";

const engine = fakeEngine();
let service: TestService;
beforeAll(async () => {
  service = await openService({ maxQueue: 1, maxRunning: 1 }, { engine });
});
afterAll(() => service.stop());

interface Sample {
  readonly name: string;
  readonly labels: string;
  readonly value: number;
}

/** The text format of Prometheus: a type before its samples, a number behind each. */
function parse(text: string): { types: Map<string, string>; samples: Sample[] } {
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.split("\n").filter(Boolean)) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line);
    if (comment) {
      if (comment[1] === "TYPE") types.set(comment[2]!, comment[3]!);
      continue;
    }
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)$/.exec(line);
    expect(sample, line).not.toBeNull();
    const [, name, labels = "", value] = sample!;
    const base = name!.replace(/_(bucket|sum|count)$/, "");
    expect(types.has(name!) || types.has(base), line).toBe(true);
    samples.push({
      name: name!,
      labels,
      value: Number(value!.replace("+Inf", "Infinity").replace("Nan", "NaN")),
    });
  }
  return { types, samples };
}

const read = async () => parse(await (await service.request("/metrics")).text());

describe("/metrics", () => {
  it("counts a known load exactly", async () => {
    const ask = () => service.post("/v1/chat/completions", chatAbout("<OD>"));
    await ask();
    const release = engine.hold();
    let refused = 0;
    const asked = Array.from({ length: 4 }, async () => {
      const { status } = await ask();
      if (status === 429 && ++refused === 2) release();
      return status;
    });
    const statuses = await Promise.all(asked);
    expect(statuses.filter((status) => status === 200).length).toBe(2);
    await service.post("/v1/chat/completions", chatAbout("<NOPE>"));
    await service.request("/v1/no-such-path-0123");
    const { samples } = await read();
    const value = (name: string, labels = "") =>
      samples.find((sample) => sample.name === name && sample.labels === labels)?.value;
    expect(value("florence2_requests_total", 'task="<OD>",code="ok"')).toBe(3);
    expect(value("florence2_requests_total", 'task="other",code="task_invalid"')).toBe(1);
    expect(value("florence2_rejected_total", 'reason="server_overloaded"')).toBe(2);
    expect(value("florence2_prompt_tokens_total")).toBe(3 * 12);
    expect(value("florence2_generation_tokens_total")).toBe(3 * 4);
    expect(value("florence2_image_cache_hits_total")).toBe(2);
    expect(value("florence2_images_total", 'source="data"')).toBe(4);
    expect(value("florence2_queue_seconds_count")).toBe(3);
    expect(value("florence2_requests_running")).toBe(0);
    expect(value("florence2_requests_waiting")).toBe(0);
    expect(value("florence2_model_loaded")).toBe(1);
    expect(value("http_requests_total", 'method="POST",route="/v1/chat/completions",status="200"')).toBe(3);
    expect(value("http_requests_total", 'method="POST",route="/v1/chat/completions",status="429"')).toBe(2);
    expect(samples.some(({ labels }) => labels.includes("no-such-path"))).toBe(false);
  });

  it("has the names of the README, and no others of its own", async () => {
    const readme = readFileSync(fileURLToPath(new URL("../../README.md", import.meta.url)), "utf8");
    const named = [...readme.matchAll(/^\| `((?:florence2|http)_\w+)/gm)].map(([, name]) => name!);
    const { types } = await read();
    expect([...types.keys()].filter((name) => /^(florence2|http)_/.test(name)).sort()).toEqual(named.sort());
  });
});

it("/openapi.json describes every route, from the schemas that validate", async () => {
  const document = await (await service.request("/openapi.json")).json();
  expect(document.openapi).toBe("3.1.0");
  const routes = service.app.routes.filter(({ method }) => method !== "ALL");
  const written = routes.map(({ path }) => path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}"));
  const own = new Set(written.filter((path) => !["/openapi.json", "/docs", "/health"].includes(path)));
  expect(Object.keys(document.paths).sort()).toEqual([...own].sort());
  const { schemas } = document.components;
  // Names of openai/openai-openapi, of 2026-08-21.
  for (const [schema, names] of Object.entries({
    ChatCompletionRequest: [
      "model",
      "messages",
      "max_completion_tokens",
      "max_tokens",
      "n",
      "seed",
      "temperature",
      "top_p",
      "stop",
      "logprobs",
      "top_logprobs",
      "response_format",
      "stream",
      "stream_options",
    ],
    ChatCompletion: [
      "id",
      "object",
      "created",
      "model",
      "choices",
      "usage",
      "service_tier",
      "system_fingerprint",
    ],
    ResponseRequest: [
      "model",
      "input",
      "instructions",
      "max_output_tokens",
      "previous_response_id",
      "store",
      "stream",
      "text",
      "truncation",
      "metadata",
      "temperature",
      "top_p",
    ],
    Response: [
      "id",
      "object",
      "created_at",
      "status",
      "error",
      "incomplete_details",
      "model",
      "output",
      "usage",
    ],
    File: ["id", "object", "bytes", "created_at", "expires_at", "filename", "purpose", "status"],
    Batch: [
      "id",
      "object",
      "endpoint",
      "errors",
      "input_file_id",
      "completion_window",
      "status",
      "output_file_id",
      "error_file_id",
      "created_at",
      "in_progress_at",
      "expires_at",
      "finalizing_at",
      "completed_at",
      "failed_at",
      "expired_at",
      "cancelling_at",
      "cancelled_at",
      "request_counts",
      "metadata",
    ],
    Model: ["id", "object", "created", "owned_by"],
  }))
    expect(Object.keys(schemas[schema].properties), schema).toEqual(expect.arrayContaining(names));
  const { choices } = schemas.ChatCompletion.properties;
  expect(Object.keys(choices.items.properties).sort()).toEqual([
    "finish_reason",
    "index",
    "logprobs",
    "message",
  ]);
});

it("/docs renders it without anything from elsewhere", async () => {
  const response = await service.request("/docs");
  const page = await response.text();
  expect(response.headers.get("content-security-policy")).toMatch(/default-src 'none'; connect-src 'self'/);
  expect(page).not.toMatch(/https?:\/\//);
  expect(page).toContain("openapi.json");
});
