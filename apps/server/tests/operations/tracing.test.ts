import { AsyncLocalStorage } from "node:async_hooks";
import {
  type Context,
  type ContextManager,
  context,
  propagation,
  ROOT_CONTEXT,
  type TextMapPropagator,
  trace,
} from "@opentelemetry/api";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { afterAll, beforeAll, expect, it } from "vitest";
import { fakeEngine } from "../support/fake_engine.ts";
import { chatAbout, openService, type TestService } from "../support/service.ts";

/** What an SDK registers, in the smallest form. */
class Contexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();
  active = () => this.#storage.getStore() ?? ROOT_CONTEXT;
  with = <A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    work: F,
    self?: ThisParameterType<F>,
    ...args: A
  ) => this.#storage.run(active, () => work.call(self as never, ...args));
  bind = <T>(_: Context, target: T) => target;
  enable = () => this;
  disable = () => this;
}

const traceparent: TextMapPropagator = {
  fields: () => ["traceparent"],
  inject() {},
  extract(active, carrier, getter) {
    const [, traceId, spanId] = String(getter.get(carrier, "traceparent")).split("-") as [
      string,
      string,
      string,
    ];
    return spanId ? trace.setSpanContext(active, { traceId, spanId, traceFlags: 1, isRemote: true }) : active;
  },
};

const spans = new InMemorySpanExporter();
let service: TestService;
beforeAll(async () => {
  context.setGlobalContextManager(new Contexts());
  propagation.setGlobalPropagator(traceparent);
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }),
  );
  service = await openService({}, { engine: fakeEngine() });
});
afterAll(() => service.stop());

it("a request is a span below its caller's, the model's work one below that, without prompts", async () => {
  const parent = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
  await service.post("/v1/chat/completions", chatAbout("<OCR>secret words"), {
    headers: { traceparent: `00-${parent.traceId}-${parent.spanId}-01` },
  });
  const [model, request] = spans.getFinishedSpans() as [
    ReturnType<typeof spans.getFinishedSpans>[0],
    ReturnType<typeof spans.getFinishedSpans>[0],
  ];
  expect(request.name).toBe("POST /v1/chat/completions");
  expect(request.spanContext().traceId).toBe(parent.traceId);
  expect(request.parentSpanContext?.spanId).toBe(parent.spanId);
  expect(request.attributes).toMatchObject({
    "http.route": "/v1/chat/completions",
    "http.response.status_code": 200,
  });
  expect(model.parentSpanContext?.spanId).toBe(request.spanContext().spanId);
  expect(model.attributes).toMatchObject({
    "gen_ai.operation.name": "chat",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 4,
    "gen_ai.response.finish_reasons": ["stop"],
    "florence2.tasks": ["<OCR>"],
  });
  expect(JSON.stringify([model.attributes, request.attributes])).not.toContain("secret words");
});
