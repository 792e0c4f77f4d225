import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readKeys } from "../http/access.ts";
import { fakeEngine } from "./support/fake_engine.ts";
import { chatAbout, openService, sceneUrl, type TestService } from "./support/service.ts";

let service: TestService;
beforeAll(async () => {
  service = await openService(
    { apiKey: ["key-of-the-test"], corsOrigin: ["https://app.example"] },
    { engine: fakeEngine() },
  );
});
afterAll(() => service.stop());

const get = (headers: Record<string, string>, method = "GET") =>
  service.request("/v1/models", { method, headers: { authorization: "Bearer key-of-the-test", ...headers } });

describe("the Host header", () => {
  for (const host of ["localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"]) {
    it(`${host} is this machine`, async () => expect((await get({ host })).status).toBe(200));
  }
  for (const host of ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io:8000", "192.168.0.7"]) {
    it(`${host} is refused`, async () => {
      const response = await get({ host });
      expect(response.status).toBe(403);
      expect((await response.json()).error.code).toBe("host_not_allowed");
    });
  }
});

describe("origins", () => {
  it("a page of another origin is refused, whatever it sends", async () => {
    const response = await get({ origin: "https://evil.example" });
    expect(response.status).toBe(403);
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
    expect((await get({ origin: "null" })).status).toBe(403);
  });

  it("a page of this server may call", async () => {
    expect((await get({ origin: "http://localhost:8000", host: "localhost:8000" })).status).toBe(200);
  });

  it("a listed one may call, and may read the headers that clients use", async () => {
    const asked = await service.request("/v1/models", {
      method: "OPTIONS",
      headers: {
        origin: "https://app.example",
        "access-control-request-headers": "authorization, x-stainless-lang",
      },
    });
    expect(asked.status).toBe(204);
    expect(asked.headers.get("access-control-allow-headers")).toBe("authorization, x-stainless-lang");
    const response = await get({ origin: "https://app.example" });
    expect(response.headers.get("access-control-allow-origin")).toBe("https://app.example");
    expect(response.headers.get("access-control-allow-credentials")).toBeNull();
    expect(response.headers.get("access-control-expose-headers")).toMatch(/x-request-id.*retry-after/);
  });
});

describe("the log", () => {
  it("has one JSON line a request, without prompts, keys and images", async () => {
    const before = service.logged.length;
    const secret = "<OCR>the secret words of a prompt";
    await service.post("/v1/chat/completions", chatAbout(secret), {
      headers: { authorization: "Bearer key-of-the-test", "x-request-id": "from-the-caller.1" },
    });
    await service.post(
      "/v1/chat/completions",
      chatAbout("<OD>", {}, "https://127.0.0.1/private/path?token=abc"),
      {
        headers: { authorization: "Bearer key-of-the-test" },
      },
    );
    const lines = service.logged.slice(before);
    expect(lines.length).toBe(2);
    expect(lines[0]).toMatchObject({
      request_id: "from-the-caller.1",
      method: "POST",
      route: "/v1/chat/completions",
      status: 200,
      task: "<OCR>",
      key: "key1",
      width: 192,
    });
    expect(lines[1]).toMatchObject({ status: 400, code: "image_url_not_allowed" });
    const text = JSON.stringify(lines);
    for (const hidden of [
      "secret words",
      "key-of-the-test",
      sceneUrl.slice(30, 60),
      "private/path",
      "token=abc",
    ])
      expect(text).not.toContain(hidden);
  });

  it("takes no id that could forge a line", async () => {
    const response = await get({ "x-request-id": 'a" b' });
    expect(response.headers.get("x-request-id")).toMatch(/^req_/);
  });
});

it("a file of keys has one a line, with a name or without", () => {
  const file = join(mkdtempSync(join(tmpdir(), "florence2-keys-")), "keys");
  writeFileSync(file, "# keys\nalone\nalice secret-of-alice\n\n");
  expect(readKeys(["flag"], file).map(({ name }) => name)).toEqual(["key1", "line2", "alice"]);
  writeFileSync(file, "\n");
  expect(() => readKeys([], file)).toThrow(/no key/);
  expect(() => readKeys([], `${file}-none`)).toThrow(/--api-key-file/);
});
