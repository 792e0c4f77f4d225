import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { deflateSync, gzipSync } from "node:zlib";
import OpenAI, { APIError, AuthenticationError, BadRequestError, NotFoundError } from "openai";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fakeEngine } from "./support/fake_engine.ts";
import { chatAbout, dataUrl, openService, scene, sceneUrl, type TestService } from "./support/service.ts";

/** Answers for images by the path. */
const pictureHost = createHttpServer((request, response) => {
  const status = Number(request.url!.slice(1)) || 200;
  response.writeHead(status).end(status === 200 ? scene : "no");
});

let service: TestService;
let host: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => pictureHost.listen(0, "127.0.0.1", resolve));
  const { port } = pictureHost.address() as AddressInfo;
  host = `http://127.0.0.1:${port}`;
  service = await openService(
    { imageUrlSchemes: ["https", "http"], maxImageBytes: 100_000, maxTasks: 4, maxBody: 1_000_000 },
    { engine: fakeEngine(), fetching: { isAllowedAddress: () => true, ports: { "http:": String(port) } } },
  );
});
afterAll(async () => {
  await service.stop();
  pictureHost.close();
});

const client = (options = {}) =>
  new OpenAI({
    baseURL: "http://localhost/v1",
    apiKey: "none",
    maxRetries: 0,
    fetch: (url, init) => service.request(String(url), init),
    ...options,
  });

const message = (content: unknown, role = "user") => ({
  model: "florence2-nano",
  messages: [{ role, content }],
});
const image = (url: string) => ({ type: "image_url", image_url: { url } });
const od = { type: "text", text: "<OD>" };

/** Request, status, code, and the field at fault. */
const cases: readonly (readonly [
  what: string,
  body: unknown,
  status: number,
  code: string,
  param?: string,
])[] = [
  ["an unknown model", { ...chatAbout("<OD>"), model: "gpt-9" }, 404, "model_not_found", "model"],
  ["no model", { ...chatAbout("<OD>"), model: undefined }, 400, "invalid_value", "model"],
  ["no messages", { model: "florence2-nano", messages: [] }, 400, "invalid_value", "messages"],
  [
    "messages of another type",
    { model: "florence2-nano", messages: "hello" },
    400,
    "invalid_value",
    "messages",
  ],
  ["no message of the user", message("hello", "system"), 400, "message_missing", "messages"],
  ["no image", message("<OD>"), 400, "image_missing", "messages[0].content"],
  [
    "a part without its image",
    message([od, { type: "image_url" }]),
    400,
    "image_missing",
    "messages[0].content[1]",
  ],
  [
    "two images in a message",
    message([od, image(sceneUrl), image(sceneUrl)]),
    400,
    "too_many_images",
    "messages[0].content",
  ],
  [
    "sound",
    message([{ type: "input_audio", input_audio: {} }]),
    400,
    "unsupported_parameter",
    "messages[0].content[0]",
  ],
  ["a data: URL that is not base64", message([od, image("data:image/png,raw")]), 400, "invalid_image"],
  ["base64 with other letters", message([od, image("data:image/png;base64,%%%%")]), 400, "invalid_image"],
  ["base64 that is cut", message([od, image("data:image/png;base64,abcde")]), 400, "invalid_image"],
  ["an empty data: URL", message([od, image("data:image/png;base64,")]), 400, "invalid_image"],
  ["text for an image", message([od, image(dataUrl(Buffer.from("hello")))]), 400, "invalid_image"],
  ["an image over the limit", message([od, image(dataUrl(Buffer.alloc(100_001)))]), 413, "image_too_large"],
  ["an unknown scheme", message([od, image("ftp://host.example/a.png")]), 400, "image_url_not_allowed"],
  ["a file: URL", message([od, image("file:///etc/passwd")]), 400, "image_url_not_allowed"],
  ["a URL that is none", message([od, image("http://")]), 400, "invalid_image"],
  ["an unknown file", message([od, { type: "file", file: { file_id: "file-x" } }]), 404, "file_not_found"],
  ["an unknown task", chatAbout("<NOPE>"), 400, "task_invalid"],
  ["n over the limit", chatAbout("<OD>", { n: 17 }), 400, "invalid_value", "n"],
  ["n of 0", chatAbout("<OD>", { n: 0 }), 400, "invalid_value", "n"],
  ["a temperature out of range", chatAbout("<OD>", { temperature: 3 }), 400, "invalid_value", "temperature"],
  ["max_tokens of another type", chatAbout("<OD>", { max_tokens: "10" }), 400, "invalid_value", "max_tokens"],
  [
    "five stop sequences",
    chatAbout("<OD>", { stop: ["a", "b", "c", "d", "e"] }),
    400,
    "invalid_value",
    "stop",
  ],
  [
    "top_logprobs",
    chatAbout("<OD>", { logprobs: true, top_logprobs: 2 }),
    400,
    "unsupported_parameter",
    "top_logprobs",
  ],
  [
    "stream_options without stream",
    chatAbout("<OD>", { stream_options: {} }),
    400,
    "unsupported_parameter",
    "stream_options",
  ],
  [
    "tools that must be called",
    chatAbout("<OD>", { tool_choice: "required" }),
    400,
    "unsupported_parameter",
    "tool_choice",
  ],
  [
    "an answer as sound",
    chatAbout("<OD>", { modalities: ["audio"] }),
    400,
    "unsupported_parameter",
    "modalities",
  ],
  ["too many phrases", chatAbout("<OD>", { text: ["a", "b", "c", "d", "e"] }), 400, "too_many_tasks"],
  [
    "a schema that answers cannot satisfy",
    chatAbout("<OD>", schema({ colour: { type: "string" } })),
    400,
    "json_schema_unsupported",
    "response_format",
  ],
  [
    "a schema's name with a space",
    chatAbout("<OD>", schema({}, "a b")),
    400,
    "invalid_value",
    "response_format.json_schema.name",
  ],
];

function schema(properties: object, name = "answer") {
  const required = Object.keys(properties);
  return {
    response_format: {
      type: "json_schema",
      json_schema: { name, schema: { type: "object", properties, required } },
    },
  };
}

describe("errors reach the official client as its own", () => {
  for (const [what, body, status, code, param] of cases) {
    it(`${what}: ${status} ${code}`, async () => {
      const error = await client()
        .chat.completions.create(body as never)
        .then(
          () => undefined,
          (thrown) => thrown,
        );
      expect(error).toBeInstanceOf(APIError);
      expect({ status: error.status, code: error.code }).toEqual({ status, code });
      if (param !== undefined) expect(error.param).toBe(param);
      expect(error.requestID).toMatch(/^req_/);
      expect(Object.keys(error.error).sort()).toEqual(["code", "message", "param", "type"]);
      if (status === 400) expect(error).toBeInstanceOf(BadRequestError);
      if (status === 404) expect(error).toBeInstanceOf(NotFoundError);
    });
  }

  it("also before the first event of a stream", async () => {
    const asked = client().chat.completions.create({ ...chatAbout("<NOPE>"), stream: true } as never);
    await expect(asked).rejects.toBeInstanceOf(BadRequestError);
  });
});

describe("images that cannot be fetched", () => {
  for (const [status, expected] of [
    [404, 400],
    [403, 400],
    [500, 502],
  ]) {
    it(`${status} from the host: ${expected}`, async () => {
      const response = await service.post("/v1/chat/completions", message([od, image(`${host}/${status}`)]));
      expect(response.status).toBe(expected);
      expect((await response.json()).error.code).toBe("image_download_failed");
    });
  }
  it("200 from the host: an answer", async () => {
    const response = await service.post("/v1/chat/completions", message([od, image(`${host}/200`)]));
    expect(response.status).toBe(200);
  });
});

describe("requests that are none", () => {
  const json = { "content-type": "application/json" };
  const send = (body: BodyInit | undefined, headers: Record<string, string> = json, method = "POST") =>
    service.request("/v1/chat/completions", {
      method,
      headers,
      body,
      ...(body instanceof ReadableStream && { duplex: "half" }),
    } as RequestInit);
  const expectError = async (response: Response, status: number, code: string) => {
    expect(response.status).toBe(status);
    expect(Object.keys((await response.json()).error).sort()).toEqual(["code", "message", "param", "type"]);
    return code;
  };
  const checks: readonly (readonly [string, () => Promise<Response>, number, string])[] = [
    ["not JSON", () => send("{"), 400, "invalid_json"],
    ["an empty body", () => send(""), 400, "invalid_json"],
    ["not UTF-8", () => send(new Uint8Array([0x22, 0xff, 0x22])), 400, "invalid_json"],
    ["100,000 levels", () => send("[".repeat(100_000)), 400, "invalid_json"],
    ["an array", () => send("[]"), 400, "invalid_value"],
    ["another type", () => send("{}", { "content-type": "text/plain" }), 415, "unsupported_media_type"],
    [
      "a packed body",
      () => send(gzipSync(Buffer.alloc(1e6)), { ...json, "content-encoding": "gzip" }),
      415,
      "unsupported_encoding",
    ],
    ["a body over the limit, announced", () => send("x".repeat(1_000_001)), 413, "body_too_large"],
    ["a body over the limit, not announced", () => send(endless(64_000, 20)), 413, "body_too_large"],
    ["another method", () => send(undefined, {}, "GET"), 405, "method_not_allowed"],
    ["another path", () => service.request("/v1/nothing"), 404, "not_found"],
  ];
  for (const [what, request, status, code] of checks) {
    it(`${what}: ${status} ${code}`, async () => {
      const response = await request();
      expect(response.headers.get("x-request-id")).toMatch(/^req_/);
      const body = await response.clone().json();
      await expectError(response, status, code);
      expect(body.error.code).toBe(code);
    });
  }

  it("a body that does not end: 408", async () => {
    const slow = await openService({ bodyTimeout: 100 }, { engine: fakeEngine() });
    const response = await slow.request("/v1/chat/completions", {
      method: "POST",
      headers: json,
      body: endless(1, Infinity),
      duplex: "half",
    } as RequestInit);
    expect(response.status).toBe(408);
    await slow.stop();
  });
});

/** A stream of chunks, one each 10 ms when they have no end. */
function endless(size: number, count: number): ReadableStream {
  let sent = 0;
  return new ReadableStream({
    async pull(controller) {
      if (sent++ === count) return controller.close();
      if (count === Infinity) await new Promise((resolve) => setTimeout(resolve, 10));
      controller.enqueue(new Uint8Array(size).fill(0x20));
    },
  });
}

describe("bombs", () => {
  it("33 MB of base64 are refused before they are read, by the default limit", async () => {
    const usual = await openService({}, { engine: fakeEngine() });
    const response = await usual.post(
      "/v1/chat/completions",
      chatAbout("<OD>", {}, dataUrl(Buffer.alloc(25_000_000))),
    );
    expect([response.status, (await response.json()).error.code]).toEqual([413, "body_too_large"]);
    await usual.stop();
  });

  it("an image of 20,000 x 20,000 pixels in 50 kB is refused by its header, by the real model", async () => {
    const real = await openService();
    let decodings = 0;
    sharp.queue.on("change", () => decodings++);
    const response = await real.post(
      "/v1/chat/completions",
      chatAbout("<OD>", {}, dataUrl(blackPng(20_000, 20_000))),
    );
    expect(response.status).toBe(413);
    expect((await response.json()).error.code).toBe("image_too_large");
    expect(decodings).toBe(0);
    const cut = await real.post(
      "/v1/chat/completions",
      chatAbout("<OD>", {}, dataUrl(scene.subarray(0, 20_000))),
    );
    expect([cut.status, (await cut.json()).error.code]).toEqual([400, "invalid_image"]);
    expect(decodings).toBeGreaterThan(0);
    await real.stop();
  });
});

/** A PNG of one bit a pixel, all black. */
function blackPng(width: number, height: number): Uint8Array {
  const chunk = (type: string, data: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(4);
    frame.writeUInt32BE(data.length);
    return Buffer.concat([frame, body, Buffer.alloc(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 1;
  const rows = deflateSync(Buffer.alloc((Math.ceil(width / 8) + 1) * height));
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", header),
    chunk("IDAT", rows),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

describe("keys", () => {
  it("are wanted by every route but health", async () => {
    const guarded = await openService({ apiKey: ["secret-one", "secret-two"] }, { engine: fakeEngine() });
    for (const { method, path } of guarded.app.routes.filter(({ method }) => method !== "ALL")) {
      const response = await guarded.request(path.replace(/:\w+(\{[^}]*\})?/, "x"), { method });
      const isOpen = ["/livez", "/readyz", "/health"].includes(path);
      expect(response.status, path).toBe(isOpen ? 200 : 401);
      if (!isOpen) expect(response.headers.get("www-authenticate")).toBe("Bearer");
    }
    const fetch = (url: unknown, init?: RequestInit) => guarded.request(String(url), init);
    await expect(client({ fetch, apiKey: "wrong" }).models.list()).rejects.toBeInstanceOf(
      AuthenticationError,
    );
    for (const apiKey of ["secret-one", "secret-two"])
      expect((await client({ fetch, apiKey }).models.list()).data[0]?.id).toBe("florence2-nano");
    expect(guarded.logged.at(-1)).toMatchObject({ key: "key2" });
    await guarded.stop();
  });
});
