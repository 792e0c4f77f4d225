import { Florence2Error } from "florence2-webgpu";
import { afterEach, describe, expect, it } from "vitest";
import type { LoadEngine, LoadProgress } from "../../engine/service.ts";
import { defaultSettings } from "../../index.ts";
import { createMcpServer } from "../../mcp/create_mcp_server.ts";
import { openTools } from "../../mcp/open_tools.ts";
import { type FakeEngine, fakeEngine } from "../support/fake_engine.ts";
import { connectClient, connectEarlierClient, connectTo } from "../support/mcp_clients.ts";
import { openLoading, openService, sceneUrl, type TestService } from "../support/service.ts";

const ask = { image: sceneUrl, detail: "short" };
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function serve(settings: Parameters<typeof openService>[0] = {}): Promise<{
  readonly service: TestService;
  readonly engine: FakeEngine;
}> {
  const engine = fakeEngine();
  const service = await openService(settings, { engine });
  open.push({ close: () => service.stop() });
  return { service, engine };
}

const until = async (isSo: () => boolean) => {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe("/mcp", () => {
  const ping = (service: TestService, headers: Record<string, string>, body: unknown = { jsonrpc: "2.0" }) =>
    service.post("/mcp", body, { headers });

  it("wants the key that every route wants", async () => {
    const { service } = await serve({ apiKey: ["secret"] });
    await expect(connectClient(service)).rejects.toThrow();
    const client = await connectClient(service, { headers: { authorization: "Bearer secret" } });
    expect((await client.call("describe_image", ask)).isError).toBeFalsy();
  });

  it("tells agents that the bundled model knows drawings only", async () => {
    const bundled = await connectClient((await serve()).service);
    expect(bundled.instructions).toMatch(/image_id.*knows only drawn scenes.*--model/s);
    const released = await connectClient((await serve({ model: "microsoft/Florence-2-base" })).service);
    expect(released.instructions).toMatch(/image_id/);
    expect(released.instructions).not.toContain("drawn scenes");
  });

  it("refuses other origins, other hosts, bodies that are too large, and what is not JSON", async () => {
    const { service } = await serve({ maxBody: 1000 });
    expect((await ping(service, { origin: "https://evil.example" })).status).toBe(403);
    expect((await ping(service, { host: "evil.example" })).status).toBe(403);
    expect((await ping(service, {}, { text: "x".repeat(2000) })).status).toBe(413);
    const plain = await service.request("/mcp", { method: "POST", body: "{}" });
    expect(plain.status).toBe(415);
    expect((await service.request("/mcp")).status).toBe(405);
  });

  it("has a log line for each call, with neither image nor words", async () => {
    const { service } = await serve();
    const client = await connectClient(service);
    await client.call("florence2", { image: sceneUrl, task: "<OCR>" });
    const line = service.logged.find(({ tool }) => tool === "florence2");
    expect(line).toMatchObject({ route: "/mcp", status: 200, tool: "florence2", task: "<OCR>", code: "ok" });
    expect(JSON.stringify(line)).not.toContain(sceneUrl.slice(30, 60));
  });

  it.each([
    ["https://127.0.0.1/a.png", "image_url_not_allowed"],
    ["https://169.254.169.254/latest", "image_url_not_allowed"],
    ["https://[::1]/a.png", "image_url_not_allowed"],
    ["file:///etc/passwd", "image_url_not_allowed"],
    ["/etc/passwd", "path_not_allowed"],
    [{ path: "/etc/passwd" }, "path_not_allowed"],
    [{ data: "%%%" }, "invalid_image"],
    [{ image_id: "img_00000000000000000000000000000000" }, "image_unknown"],
    ["data:image/png;base64,AAAA", "invalid_image"],
  ])("%j is no image that it takes: %s", async (image, code) => {
    const { service, engine } = await serve();
    const client = await connectClient(service);
    for (const [tool, args] of [
      ["describe_image", { detail: "short" }],
      ["crop", { box: [0, 0, 9, 9] }],
    ] as const) {
      const { isError, content } = await client.call(tool, { ...args, image });
      expect(isError).toBe(true);
      expect(content[0].text).toContain(`(${code})`);
    }
    expect(engine.asked).toEqual([]);
  });

  it.each([
    ["today's client", connectClient],
    ["the client before", connectEarlierClient],
  ] as const)("tells %s how far the model is loaded, and then answers", async (_, connect) => {
    let finish = () => {};
    const load: LoadEngine = (_signal, tell) => {
      tell({ stage: "downloaded", percent: 43.2 });
      return new Promise((resolve) => {
        finish = () => resolve(fakeEngine());
      });
    };
    const { service, starting } = await openLoading({}, { load });
    open.push({ close: () => service.stop() });
    const messages: string[] = [];
    const client = await connect(service);
    const called = client.call("describe_image", ask, {
      onprogress: ({ message }) => messages.push(message!),
    });
    await until(() => messages.includes("Loading the model: 43 % downloaded"));
    finish();
    await starting;
    expect((await called).isError).toBeFalsy();
  });

  it("says that a tool does not exist as an error of the protocol", async () => {
    const { service } = await serve();
    const client = await connectClient(service);
    await expect(client.call("nope", {})).rejects.toThrow(/nope/);
  });

  it("keeps the inside of a failure inside", async () => {
    const { service, engine } = await serve();
    engine.run = () => Promise.reject(new Error("at 10.0.0.1 in /secret/path"));
    const client = await connectClient(service);
    const { isError, content } = await client.call("describe_image", ask);
    expect(isError).toBe(true);
    expect(content[0].text).not.toMatch(/secret|10\.0/);
    expect(service.logged.find(({ tool }) => tool)?.error).toContain("/secret/path");
  });
});

describe("a model that is loaded when it is first needed", () => {
  function openLazily(
    load: (tell: (progress: LoadProgress) => void) => Promise<FakeEngine>,
    patience = 60_000,
  ) {
    const loads: number[] = [];
    const logged: object[] = [];
    const tools = openTools(defaultSettings, {
      log: (entry) => logged.push(entry),
      load: (_, tell) => {
        loads.push(1);
        return load(tell);
      },
      patience,
    });
    open.push({ close: () => tools.stop() });
    return {
      loads,
      tools,
      connect: () => connectTo(createMcpServer(tools.parts, (entry) => logged.push(entry))),
    };
  }

  it("is not loaded by listing the tools, and is loaded once by calls", async () => {
    const { loads, connect } = openLazily(async () => fakeEngine());
    const client = await connect();
    await client.listTools();
    expect(loads.length).toBe(0);
    const results = await Promise.all([
      client.call("describe_image", ask),
      client.call("describe_image", ask),
    ]);
    expect(results.every(({ isError }) => !isError)).toBe(true);
    expect(loads.length).toBe(1);
  });

  it("tells how far the loading is, and then that it looks", async () => {
    const messages: string[] = [];
    const numbers: number[] = [];
    let finish = () => {};
    const { connect } = openLazily((tell) => {
      tell({ stage: "downloaded", percent: 43.2 });
      return new Promise((resolve) => {
        finish = () => resolve(fakeEngine(1200));
      });
    });
    const client = await connect();
    const called = client.call("describe_image", ask, {
      onprogress: ({ progress, message }) => {
        numbers.push(progress);
        messages.push(message!);
      },
    });
    await until(() => messages.includes("Loading the model: 43 % downloaded"));
    finish();
    expect((await called).isError).toBeFalsy();
    expect(messages.at(-1)).toBe("Looking at the image");
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  });

  it("is an error that says how far it is, before clients give up; the loading goes on", async () => {
    let finish = () => {};
    const { connect, loads } = openLazily((tell) => {
      tell({ stage: "loaded", percent: 71 });
      return new Promise((resolve) => {
        finish = () => resolve(fakeEngine());
      });
    }, 10);
    const client = await connect();
    const { isError, content } = await client.call("describe_image", ask);
    expect(isError).toBe(true);
    expect(content[0].text).toMatch(/still being loaded \(71 % loaded\).*Call again.*\(model_loading\)/);
    finish();
    await new Promise((resolve) => setTimeout(resolve));
    expect((await client.call("describe_image", ask)).isError).toBeFalsy();
    expect(loads.length).toBe(1);
  });

  it("that cannot be loaded is told with the cause, and tried again by the next call", async () => {
    const { connect, loads } = openLazily(async () => {
      if (loads.length === 1) throw new Florence2Error("file_not_found", "there is no model in /models");
      return fakeEngine();
    });
    const client = await connect();
    const { isError, content } = await client.call("describe_image", ask);
    expect(isError).toBe(true);
    expect(content[0].text).toContain("The model cannot be loaded: there is no model in /models");
    expect((await client.call("describe_image", ask)).isError).toBeFalsy();
  });

  it("is told at once what is wrong with an image", async () => {
    const { connect, loads } = openLazily(async () => fakeEngine());
    const client = await connect();
    const { content } = await client.call("describe_image", { image: { image_id: "img_1" } });
    expect(content[0].text).toContain("image_unknown");
    expect(loads.length).toBe(0);
  });
});
