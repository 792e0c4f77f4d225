import { setMaxListeners } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { Admission } from "../engine/admission.ts";
import { fakeEngine } from "./support/fake_engine.ts";
import { chatAbout, openLoading, openService, type TestService } from "./support/service.ts";

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
/** Waits until something holds; a test that waits for ever fails by its time. */
const until = async (holds: () => boolean) => {
  while (!holds()) await sleep(2);
};
const gauge = async ({ service }: TestService, name: string) =>
  ((await service.metrics.registry.getSingleMetric(name)!.get()).values[0] as { value: number }).value;

let open: TestService[] = [];
const started = async (...args: Parameters<typeof openService>) => {
  const service = await openService(...args);
  open.push(service);
  return service;
};
afterEach(async () => {
  await Promise.all(open.map((service) => service.stop()));
  open = [];
});
const post = (service: TestService, init: RequestInit = {}, fields = {}) =>
  service.post("/v1/chat/completions", chatAbout("<OD>", fields), init);

describe("a full queue", () => {
  it("refuses at once with an honest retry-after, and answers all that it accepted", async () => {
    const engine = fakeEngine();
    const service = await started({ maxQueue: 4, maxRunning: 2 }, { engine });
    await post(service);
    const release = engine.hold();
    let answered = 0;
    const accepted = Array.from({ length: 6 }, async () => {
      const response = await post(service);
      answered++;
      return response;
    });
    await until(() => service.service.admission.accepted === 6);
    const refused = await post(service);
    expect(answered).toBe(0);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect((await refused.json()).error).toMatchObject({
      code: "server_overloaded",
      type: "rate_limit_error",
      param: null,
    });
    expect((await service.request("/readyz")).status).toBe(503);
    release();
    for (const response of await Promise.all(accepted)) expect(response.status).toBe(200);
    expect((await post(service)).status).toBe(200);
    expect((await service.request("/readyz")).status).toBe(200);
  });

  it("computes retry-after from what requests took", async () => {
    let now = 0;
    const admission = new Admission({ maxQueue: 10, maxRunning: 1, now: () => now });
    const { signal } = new AbortController();
    for (let i = 0; i < 100; i++) {
      const leave = admission.accept("interactive");
      const end = await admission.start("interactive", signal);
      now += 3000;
      end();
      leave();
    }
    for (let i = 0; i < 11; i++) admission.accept("interactive");
    const end = await admission.start("interactive", signal);
    expect(admission.secondsUntilFree).toBe(30);
    expect(() => admission.expectRoom()).toThrow(/11 requests/);
    end();
  });

  it("gives batches one place in eight while people wait, and all when no one does", async () => {
    const admission = new Admission({ maxQueue: 100, maxRunning: 1 });
    const { signal } = new AbortController();
    setMaxListeners(0, signal);
    const order: string[] = [];
    const first = await admission.start("interactive", signal);
    const enter = async (kind: "interactive" | "batch") => {
      const end = await admission.start(kind, signal);
      order.push(kind);
      end();
    };
    const all = [
      ...Array.from({ length: 4 }, () => enter("batch")),
      ...Array.from({ length: 21 }, () => enter("interactive")),
    ];
    first();
    await Promise.all(all);
    expect(order.slice(0, 24).filter((kind) => kind === "batch").length).toBe(3);
    expect(order.at(-1)).toBe("batch");
  });
});

describe("a client that leaves", () => {
  it("is taken out of the queue", async () => {
    const engine = fakeEngine();
    const service = await started({ maxRunning: 1 }, { engine });
    const { admission } = service.service;
    const release = engine.hold();
    const running = post(service);
    await until(() => admission.running === 1);
    const gone = new AbortController();
    const queued = post(service, { signal: gone.signal });
    await until(() => admission.waiting === 1);
    expect(await gauge(service, "florence2_requests_waiting")).toBe(1);
    gone.abort();
    await until(() => admission.waiting === 0);
    expect(await gauge(service, "florence2_requests_waiting")).toBe(0);
    await queued.catch(() => {});
    release();
    expect((await running).status).toBe(200);
    expect(engine.asked.length).toBe(1);
    expect(service.logged.some(({ status }) => status === 499)).toBe(true);
  });

  it("ends a stream's generation", async () => {
    const engine = fakeEngine();
    const service = await started({}, { engine });
    const response = await post(service, {}, { stream: true });
    const release = engine.hold();
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
    await until(() => service.service.admission.accepted === 0);
    expect(engine.aborted).toBe(1);
    expect(await gauge(service, "florence2_requests_running")).toBe(0);
    await until(() => service.logged.some(({ status }) => status === 499));
    release();
  });

  it("or does not read its stream keeps neither the model nor, after its time, a place in the queue", async () => {
    const engine = fakeEngine();
    const service = await started({ maxRunning: 1, requestTimeout: 3000 }, { engine });
    const { admission } = service.service;
    const response = await post(service, {}, { stream: true });
    await until(() => admission.running === 0);
    expect((await post(service)).status).toBe(200);
    await until(() => admission.accepted === 0);
    expect(engine.asked.length).toBe(2);
    expect(await response.text()).toMatch(/The answer/);
  });

  it("does not end the look at an image that another one waits for", async () => {
    const engine = fakeEngine();
    const service = await started({}, { engine });
    const { admission } = service.service;
    const release = engine.hold();
    const gone = new AbortController();
    const first = post(service, { signal: gone.signal });
    const second = post(service);
    await until(() => admission.running === 2);
    gone.abort();
    await first.catch(() => {});
    await until(() => admission.accepted === 1);
    release();
    expect((await second).status).toBe(200);
    expect(engine.encoded).toBe(1);
  });
});

it("an error within a stream is an event, without the inside of the server", async () => {
  const engine = fakeEngine();
  engine.breakStreams = true;
  const service = await started({}, { engine });
  const events = (await (await post(service, {}, { stream: true })).text()).trim().split("\n\n");
  expect(JSON.parse(events.at(-1)!.replace("data: ", "")).error).toMatchObject({
    code: "server_error",
    type: "server_error",
    param: null,
  });
  expect(events.join()).not.toMatch(/10\.0\.0\.1|secret/);
  const content = [
    { type: "input_text", text: "<OD>" },
    { type: "input_image", image_url: "data:image/png;base64,iQ==" },
  ];
  const response = await service.post("/v1/responses", {
    model: "florence2-nano",
    stream: true,
    input: [{ role: "user", content }],
  });
  expect(await response.text()).toMatch(/event: response\.failed\n.*"code":"server_error"/);
});

it("a request that takes too long gets 504, and its work is ended", async () => {
  const engine = fakeEngine(600_000);
  const service = await started({ requestTimeout: 1000 }, { engine });
  const response = await post(service);
  expect(response.status).toBe(504);
  expect(response.headers.get("x-should-retry")).toBe("false");
  expect((await response.json()).error.code).toBe("deadline_exceeded");
  expect(engine.aborted).toBe(1);
});

describe("the end of a server", () => {
  it("answers what it accepted, takes nothing new, and frees the model", async () => {
    const engine = fakeEngine();
    const service = await started({ maxRunning: 1 }, { engine });
    const release = engine.hold();
    const accepted = [post(service), post(service), post(service, {}, { stream: true })];
    await until(() => service.service.admission.accepted === 3);
    const stopped = service.stop();
    const late = await post(service);
    expect(late.status).toBe(503);
    expect(late.headers.get("retry-after")).toBe("5");
    expect((await late.json()).error.code).toBe("shutting_down");
    expect(await (await service.request("/readyz")).json()).toEqual({ status: "draining" });
    expect((await service.request("/livez")).status).toBe(200);
    const refused = service.logged.filter(({ status }) => status === 503);
    expect(refused.map(({ level }) => level)).toEqual(["warn", "warn"]);
    release();
    const [one, two, streamed] = await Promise.all(accepted);
    expect([one!.status, two!.status]).toEqual([200, 200]);
    expect(await streamed!.text()).toMatch(/\[DONE\]/);
    await stopped;
    expect(engine.isDisposed).toBe(true);
  });

  it("ends with 503 what takes longer than it may", async () => {
    const engine = fakeEngine();
    const service = await started({ shutdownTimeout: 50 }, { engine });
    const release = engine.hold();
    const accepted = post(service);
    await until(() => service.service.admission.accepted === 1);
    await service.stop();
    expect((await accepted).status).toBe(503);
    release();
  });
});

describe("readiness", () => {
  it("is false while the model loads, when requests get 503", async () => {
    let finish = () => {};
    const loading = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const load = () => loading.then(() => fakeEngine());
    const { service, starting } = await openLoading({}, { load });
    open.push(service);
    expect((await service.request("/readyz")).status).toBe(503);
    expect(await (await service.request("/readyz")).json()).toEqual({ status: "loading" });
    const early = await post(service);
    expect(early.status).toBe(503);
    expect((await early.json()).error.code).toBe("model_loading");
    expect((await service.request("/livez")).status).toBe(200);
    finish();
    await starting;
    expect((await service.request("/readyz")).status).toBe(200);
  });

  it.each(["gpu_lost", "cpu_failed"] as const)(
    "is false when the device is lost (%s), and true when the model was loaded again",
    async (code) => {
      const first = fakeEngine();
      const engines = [first, fakeEngine()];
      let allow = () => {};
      const service = await started(
        {},
        {
          load: async () => {
            const engine = engines.shift()!;
            if (engine !== first)
              await new Promise<void>((resolve) => {
                allow = resolve;
              });
            return engine;
          },
        },
      );
      first.loseDevice = code;
      const failed = await post(service);
      expect(failed.status).toBe(503);
      expect((await failed.json()).error.code).toBe(code);
      expect(await (await service.request("/readyz")).json()).toEqual({ status: "lost" });
      expect((await (await post(service)).json()).error.code).toBe("model_loading");
      expect(first.isDisposed).toBe(true);
      await until(() => {
        allow();
        return service.service.state === "ready";
      });
      expect((await service.request("/readyz")).status).toBe(200);
      expect((await post(service)).status).toBe(200);
      expect(await gauge(service, "florence2_device_lost_total")).toBe(1);
    },
  );
});

describe("images that were looked at", () => {
  it("are looked at once for requests at the same time, and kept", async () => {
    const engine = fakeEngine(20);
    const service = await started({}, { engine });
    const answers = await Promise.all([post(service), post(service), post(service)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(engine.encoded).toBe(1);
    const { usage } = await (await post(service)).json();
    expect(usage.prompt_tokens_details.cached_tokens).toBe(10);
  });

  it("leave when they take more memory than they may, the least recently used first, and not while in use", async () => {
    const engine = fakeEngine(5);
    const service = await started({ imageCache: 2000 }, { engine });
    const image = (n: number) => `data:image/png;base64,${Buffer.from([0x89, n]).toString("base64")}`;
    const about = async (n: number) => {
      const response = await service.post("/v1/chat/completions", chatAbout("<OD>", {}, image(n)));
      return (await response.json()).usage.prompt_tokens_details.cached_tokens;
    };
    expect([await about(1), await about(2), await about(1), await about(3)]).toEqual([0, 0, 10, 0]);
    expect(engine.freed).toBe(1);
    expect([await about(1), await about(2)]).toEqual([10, 0]);
    await service.stop();
    expect(engine.freed).toBe(engine.encoded);
  });

  it("that cannot be read are forgotten", async () => {
    const engine = fakeEngine(5);
    const service = await started({}, { engine });
    const bad = chatAbout("<OD>", {}, `data:image/png;base64,${Buffer.from([1, 2, 3]).toString("base64")}`);
    for (let i = 0; i < 2; i++) {
      const response = await service.post("/v1/chat/completions", bad);
      expect(response.status).toBe(400);
      expect((await response.json()).error.code).toBe("invalid_image");
    }
    expect(await gauge(service, "florence2_image_cache_bytes")).toBe(0);
  });
});
