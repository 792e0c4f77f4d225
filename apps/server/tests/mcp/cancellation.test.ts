import { afterEach, describe, expect, it } from "vitest";
import type { Engine } from "../../engine/engine.ts";
import { Florence2Engine } from "../../engine/florence2_engine.ts";
import { type FakeEngine, fakeEngine } from "../support/fake_engine.ts";
import { connectClient, connectEarlierClient } from "../support/mcp_clients.ts";
import { openService, sceneUrl, type TestService } from "../support/service.ts";

const ask = { image: sceneUrl, detail: "short" };
const open: TestService[] = [];
afterEach(async () => {
  for (const service of open.splice(0)) await service.stop();
});

async function serve<E extends Engine>(engine: E, settings: Parameters<typeof openService>[0] = {}) {
  const service = await openService(settings, { engine });
  open.push(service);
  return service;
}

/** An engine whose answers take a minute. */
function slowEngine(): FakeEngine {
  return fakeEngine(60_000);
}

const until = async (isSo: () => boolean) => {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
};

async function expectNothingLeft({ service }: TestService): Promise<void> {
  await until(() => service.admission.accepted === 0);
  expect(service.admission).toMatchObject({ running: 0, waiting: 0 });
}

it.each([
  ["today's client cancels", connectClient, false],
  ["today's client leaves", connectClient, true],
  ["the client before cancels", connectEarlierClient, false],
  ["the client before leaves", connectEarlierClient, true],
] as const)("ends a call when %s, and answers the next one", async (_, connect, leaves) => {
  const engine = slowEngine();
  const service = await serve(engine);
  const client = await connect(service);
  const cancel = new AbortController();
  const called = client.call("describe_image", ask, { signal: cancel.signal });
  const refused = expect(called).rejects.toThrow();
  await until(() => service.service.admission.running > 0);
  if (leaves) await client.close();
  else cancel.abort();
  await refused;
  await until(() => engine.aborted > 0);
  await expectNothingLeft(service);
  engine.milliseconds = 1;
  expect((await (await connect(service)).call("describe_image", ask)).isError).toBeFalsy();
});

it.each([
  ["today's client", connectClient],
  ["the client before", connectEarlierClient],
] as const)("stops the model itself for %s", async (_, connect) => {
  const model = await Florence2Engine.load(
    "",
    { device: "cpu", dtype: "auto" },
    { maxPixels: 1e6, maxBytes: 1e6 },
  );
  const outcomes: string[] = [];
  let begun = 0;
  const engine: Engine = {
    device: model.device,
    memoryBytes: 0,
    encode: (file, signal) => model.encode(file, signal),
    check: (question) => model.check(question),
    run(...args) {
      begun++;
      const answer = model.run(...args);
      answer.then(
        () => outcomes.push("answered"),
        () => outcomes.push("ended"),
      );
      return answer;
    },
    stream: (...args) => model.stream(...args),
    dispose: () => model.dispose(),
  };
  const service = await serve(engine);
  const client = await connect(service);
  const cancel = new AbortController();
  const phrases = Array.from({ length: 16 }, (_, i) => `the circle number ${i}`);
  const called = client.call("find", { image: sceneUrl, phrases }, { signal: cancel.signal });
  const refused = expect(called).rejects.toThrow();
  await until(() => begun > 0);
  cancel.abort();
  await refused;
  await expectNothingLeft(service);
  await until(() => outcomes.length === begun);
  expect(outcomes).toContain("ended");
});

describe("a message that cancels, of a client with a session", () => {
  const initialize = {
    jsonrpc: "2.0",
    id: 0,
    method: "initialize",
    params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "test", version: "0" } },
  };
  const call = (id: number | string) => ({
    jsonrpc: "2.0",
    id,
    method: "tools/call",
    params: { name: "describe_image", arguments: ask },
  });
  const cancelled = (requestId: unknown) => ({
    jsonrpc: "2.0",
    method: "notifications/cancelled",
    params: { requestId, reason: "no longer wanted" },
  });
  const headersOf = (more: Record<string, string> = {}) => ({
    accept: "application/json, text/event-stream",
    ...more,
  });

  async function start(settings = {}) {
    const engine = slowEngine();
    const service = await serve(engine, settings);
    const post = (body: unknown, headers: Record<string, string> = {}) =>
      service.post("/mcp", body, { headers: headersOf(headers) });
    return { engine, service, post };
  }

  async function sessionOf(answer: Response): Promise<string> {
    expect(answer.status).toBe(200);
    await answer.text();
    return answer.headers.get("mcp-session-id")!;
  }

  it("ends that call alone, and its stream without an answer", async () => {
    const { engine, service, post } = await start();
    const [one, other] = [await sessionOf(await post(initialize)), await sessionOf(await post(initialize))];
    expect(one).toMatch(/^[\x21-\x7e]{20,}$/);
    expect(one).not.toBe(other);
    const answers = [
      await post(call(1), { "mcp-session-id": one }),
      await post(call("1"), { "mcp-session-id": one }),
      await post(call(1), { "mcp-session-id": other }),
    ];
    const texts = answers.map((answer) => answer.text());
    await until(() => service.service.admission.accepted === 3);
    expect((await post(cancelled(1), { "mcp-session-id": one })).status).toBe(202);
    expect(await texts[0]).not.toContain('"result"');
    await until(() => service.service.admission.accepted === 2);
    for (const [session, id] of [
      [one, "1"],
      [other, 1],
    ] as const)
      await post(cancelled(id), { "mcp-session-id": session });
    await Promise.all(texts);
    await expectNothingLeft(service);
    expect(engine.aborted).toBeGreaterThan(0);
    const lines = () => service.logged.filter(({ route, status }) => route === "/mcp" && status === 499);
    await until(() => lines().length === 3);
    for (const line of lines())
      expect(line).toMatchObject({ tool: "describe_image", code: "client_closed_request" });
  });

  it("is nothing without the session, with another key, for another id, or of another shape", async () => {
    const { engine, service, post } = await start({ apiKey: ["first", "second"] });
    const [mine, theirs] = [{ authorization: "Bearer first" }, { authorization: "Bearer second" }];
    const session = { "mcp-session-id": await sessionOf(await post(initialize, mine)) };
    const answer = await post(call(1), { ...mine, ...session });
    const text = answer.text();
    await until(() => service.service.admission.running > 0);
    expect((await post(cancelled(1), mine)).status).toBe(202);
    expect((await post(cancelled(1), { ...theirs, ...session })).status).toBe(202);
    expect((await post(cancelled(2), { ...mine, ...session })).status).toBe(202);
    await post(cancelled({ id: 1 }), { ...mine, ...session });
    expect(engine.aborted).toBe(0);
    await post(cancelled(1), { ...mine, ...session });
    await text;
    await until(() => engine.aborted > 0);
  });

  it("may come after the answer, and its id may be used again", async () => {
    const { engine, service, post } = await start();
    engine.milliseconds = 1;
    const session = { "mcp-session-id": await sessionOf(await post(initialize)) };
    for (let round = 0; round < 2; round++) {
      expect(await (await post(call(1), session)).text()).toContain("The answer to <CAPTION>");
      expect((await post(cancelled(1), session)).status).toBe(202);
    }
    await expectNothingLeft(service);
  });

  it("and a session that the server does not know is served, as after a restart", async () => {
    const { engine, post } = await start();
    engine.milliseconds = 1;
    const answer = await post(call(1), { "mcp-session-id": "of-another-life" });
    expect(await answer.text()).toContain("The answer to <CAPTION>");
  });
});
