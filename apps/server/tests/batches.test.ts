import { mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI, { toFile } from "openai";
import { afterEach, describe, expect, it } from "vitest";
import { type FakeEngine, fakeEngine } from "./support/fake_engine.ts";
import { chatAbout, openService, scene, type TestService } from "./support/service.ts";

let open: TestService[] = [];
afterEach(async () => {
  await Promise.all(open.map((service) => service.stop()));
  open = [];
});

async function started(settings: object = {}, engine: FakeEngine | undefined = fakeEngine(1)) {
  const service = await openService(settings, { engine });
  open.push(service);
  const client = new OpenAI({
    baseURL: "http://localhost/v1",
    apiKey: "none",
    maxRetries: 0,
    fetch: (url, init) => service.request(String(url), init),
  });
  return { service, client };
}

const line = (custom_id: string, body: object, url = "/v1/chat/completions") =>
  JSON.stringify({ custom_id, method: "POST", url, body });
const about = (n: number) => line(`line-${n}`, chatAbout(`<OD>`, { user: String(n) }));
const bad = (n: number) =>
  line(`line-${n}`, { model: "florence2-nano", messages: [{ role: "user", content: "no image" }] });

const upload = async (client: OpenAI, lines: readonly string[]) =>
  client.files.create({
    file: await toFile(Buffer.from(`${lines.join("\n")}\n`), "lines.jsonl"),
    purpose: "batch",
  });

async function submit(
  client: OpenAI,
  lines: readonly string[],
  endpoint: "/v1/chat/completions" | "/v1/responses" = "/v1/chat/completions",
) {
  const { id } = await upload(client, lines);
  return client.batches.create({
    input_file_id: id,
    endpoint,
    completion_window: "24h",
    metadata: { name: "test" },
  });
}

async function ended(client: OpenAI, id: string) {
  for (;;) {
    const batch = await client.batches.retrieve(id);
    if (["completed", "failed", "cancelled", "expired"].includes(batch.status)) return batch;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function linesOf(client: OpenAI, id: string | null | undefined) {
  if (!id) return [];
  const text = await (await client.files.content(id)).text();
  return text
    .split("\n")
    .filter(Boolean)
    .map((one) => JSON.parse(one));
}

describe("files", () => {
  it("are uploaded, listed, read and deleted", async () => {
    const { client, service } = await started();
    const first = await client.files.create({ file: await toFile(scene, "scene.png"), purpose: "vision" });
    const second = await client.files.create({
      file: await toFile(Buffer.from("{}"), "b.jsonl"),
      purpose: "batch",
      expires_after: { anchor: "created_at", seconds: 3600 },
    });
    expect(first).toMatchObject({
      object: "file",
      bytes: scene.length,
      filename: "scene.png",
      purpose: "vision",
      status: "processed",
      expires_at: null,
    });
    expect(second.expires_at).toBe(second.created_at + 3600);
    expect((await client.files.list({ purpose: "vision" })).data.map(({ id }) => id)).toEqual([first.id]);
    expect(Buffer.from(await (await client.files.content(first.id)).arrayBuffer()).equals(scene)).toBe(true);
    expect(
      (await service.request(`/v1/files/${first.id}/content`)).headers.get("x-content-type-options"),
    ).toBe("nosniff");
    const one = await client.files.list({ limit: 1, order: "asc" });
    expect(one.has_more).toBe(true);
    expect((await client.files.list({ after: one.data[0]!.id, order: "asc" })).data.length).toBe(1);
    const asked = chatAbout("<OD>");
    const [message] = asked.messages;
    const body = {
      ...asked,
      messages: [
        {
          ...message,
          content: [
            { type: "text", text: "<OD>" },
            { type: "file", file: { file_id: first.id } },
          ],
        },
      ],
    };
    expect((await service.post("/v1/chat/completions", body)).status).toBe(200);
    expect(await client.files.delete(first.id)).toEqual({ id: first.id, object: "file", deleted: true });
    await expect(client.files.retrieve(first.id)).rejects.toMatchObject({ status: 404 });
  });

  it("that are too large, have no purpose or name a path leave nothing behind", async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "florence2-server-"));
    const { client, service } = await started({ dataDir, maxUpload: 1000, maxStorage: 1500 });
    const send = (bytes: number, purpose = "user_data") =>
      toFile(Buffer.alloc(bytes), "x").then((file) =>
        client.files.create({ file, purpose: purpose as "batch" }),
      );
    await expect(send(1001)).rejects.toMatchObject({ status: 413, code: "file_too_large" });
    await expect(send(10, "nonsense")).rejects.toMatchObject({ status: 400, param: "purpose" });
    await send(900);
    await expect(send(900)).rejects.toMatchObject({ status: 507, code: "storage_full" });
    for (const id of ["..%2F..%2Fetc%2Fpasswd", "file-x", "%00"])
      expect((await service.request(`/v1/files/${id}/content`)).status).toBe(404);
    const broken = await service.request("/v1/files", {
      method: "POST",
      headers: { "content-type": "multipart/form-data; boundary=b" },
      body: '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
    });
    expect([broken.status, (await broken.json()).error.code]).toEqual([400, "invalid_form"]);
    expect(readdirSync(join(dataDir, "files")).length).toBe(2);
  });
});

describe("batches", () => {
  it("1,000 lines with 3 bad ones: 997 answers and 3 errors, each line once", async () => {
    const { client } = await started();
    const lines = Array.from({ length: 1000 }, (_, n) => (n % 400 === 100 ? bad(n) : about(n)));
    const { id, status } = await submit(client, lines);
    expect(status).toBe("validating");
    const batch = await ended(client, id);
    expect(batch).toMatchObject({
      status: "completed",
      request_counts: { total: 1000, completed: 997, failed: 3 },
      metadata: { name: "test" },
      errors: null,
    });
    expect(batch.usage).toMatchObject({ input_tokens: 997 * 12, output_tokens: 997 * 4 });
    const [answers, errors] = [
      await linesOf(client, batch.output_file_id),
      await linesOf(client, batch.error_file_id),
    ];
    const ids = [...answers, ...errors].map(({ custom_id }) => custom_id);
    expect([answers.length, errors.length, new Set(ids).size]).toEqual([997, 3, 1000]);
    expect(answers[0].response).toMatchObject({ status_code: 200, body: { object: "chat.completion" } });
    expect(answers[0].response.request_id).toMatch(/^req_/);
    expect(errors[0]).toMatchObject({
      error: null,
      response: { status_code: 400, body: { error: { code: "image_missing" } } },
    });
    expect((await client.batches.list({ limit: 1 })).data[0]?.id).toBe(id);
  });

  it("goes on after a restart: every line once, nothing asked twice that was answered", async () => {
    const dataDir = mkdtempSync(join(tmpdir(), "florence2-server-"));
    const first = fakeEngine(20);
    const before = await started({ dataDir, batchConcurrency: 4 }, first);
    const { id } = await submit(
      before.client,
      Array.from({ length: 60 }, (_, n) => about(n)),
    );
    while (first.asked.length < 8) await new Promise((resolve) => setTimeout(resolve, 5));
    await before.service.stop();
    expect(first.asked.length).toBeLessThan(60);
    const second = fakeEngine(1);
    const after = await started({ dataDir }, second);
    const batch = await ended(after.client, id);
    expect(batch).toMatchObject({
      status: "completed",
      request_counts: { total: 60, completed: 60, failed: 0 },
    });
    expect(first.asked.length + second.asked.length).toBe(60);
    const ids = (await linesOf(after.client, batch.output_file_id)).map(({ custom_id }) => custom_id);
    expect([ids.length, new Set(ids).size]).toEqual([60, 60]);
  });

  it("a batch that is cancelled keeps what is done, and says of the rest that it is not", async () => {
    const engine = fakeEngine(20);
    const { client } = await started({ batchConcurrency: 2 }, engine);
    const { id } = await submit(
      client,
      Array.from({ length: 40 }, (_, n) => about(n)),
    );
    while (engine.asked.length < 6) await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await client.batches.cancel(id)).status).toBe("cancelling");
    const batch = await ended(client, id);
    expect(batch.status).toBe("cancelled");
    const [answers, errors] = [
      await linesOf(client, batch.output_file_id),
      await linesOf(client, batch.error_file_id),
    ];
    expect(answers.length).toBeGreaterThan(0);
    expect(answers.length + errors.length).toBe(40);
    expect(errors.every(({ error }) => error.code === "batch_cancelled")).toBe(true);
    await expect(client.batches.cancel(id)).rejects.toMatchObject({ status: 409 });
  });

  it("is not begun if a line is wrong, and says which", async () => {
    const { client } = await started();
    const failed = async (lines: readonly string[]) => {
      const batch = await ended(client, (await submit(client, lines)).id);
      expect(batch.status).toBe("failed");
      return batch.errors!.data!.map(({ code, line }) => `${line} ${code}`);
    };
    expect(await failed([about(1), about(2), about(1)])).toEqual(["3 duplicate_custom_id"]);
    expect(
      await failed([about(1), "{", line("a", {}, "/v1/responses"), JSON.stringify({ custom_id: "b" })]),
    ).toEqual(["2 invalid_json_line", "3 invalid_url", "4 invalid_request"]);
    expect(await failed(Array.from({ length: 50_001 }, (_, n) => line(`n${n}`, {})))).toEqual([
      "50001 too_many_requests",
    ]);
    expect(await failed([""])).toEqual(["null empty_file"]);
  });

  it("waits for the model when its device is lost", async () => {
    const engine = fakeEngine(1);
    const { client } = await started({ batchConcurrency: 1 }, engine);
    engine.loseDevice = "cpu_failed";
    const batch = await ended(client, (await submit(client, [about(1), about(2)])).id);
    expect(batch.request_counts).toEqual({ total: 2, completed: 2, failed: 0 });
  });

  it("takes lines for /v1/responses and for /v1/florence2", async () => {
    const { client, service } = await started();
    const content = [
      { type: "input_text", text: "<OD>" },
      { type: "input_image", image_url: "data:image/png;base64,iQ==" },
    ];
    const body = { model: "florence2-nano", input: [{ role: "user", content }] };
    const batch = await ended(
      client,
      (await submit(client, [line("a", body, "/v1/responses")], "/v1/responses")).id,
    );
    expect((await linesOf(client, batch.output_file_id))[0].response.body.object).toBe("response");
    const { id } = await upload(client, [
      line("b", { image: "data:image/png;base64,iQ==", task: "<OD>" }, "/v1/florence2"),
    ]);
    const native = await (
      await service.post("/v1/batches", {
        input_file_id: id,
        endpoint: "/v1/florence2",
        completion_window: "24h",
      })
    ).json();
    const { output_file_id } = await ended(client, native.id);
    expect((await linesOf(client, output_file_id))[0].response.body.results.length).toBe(1);
  });

  it("refuses files of other purposes, windows and endpoints", async () => {
    const { client, service } = await started();
    const { id } = await client.files.create({ file: await toFile(scene, "a.png"), purpose: "vision" });
    const refused = async (fields: object) => {
      const response = await service.post("/v1/batches", {
        input_file_id: id,
        endpoint: "/v1/chat/completions",
        completion_window: "24h",
        ...fields,
      });
      return [response.status, (await response.json()).error.param];
    };
    expect(await refused({})).toEqual([400, "input_file_id"]);
    expect(await refused({ input_file_id: "file-0" })).toEqual([404, "input_file_id"]);
    expect(await refused({ endpoint: "/v1/embeddings" })).toEqual([400, "endpoint"]);
    expect(await refused({ completion_window: "1h" })).toEqual([400, "completion_window"]);
  });
});
