import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startRaw } from "./support/raw_client.ts";

type Client = ReturnType<typeof startRaw>;
const clients: Client[] = [];
afterEach(() => {
  for (const { child } of clients.splice(0)) child.kill("SIGKILL");
});

function start(flags: readonly string[] = []): Client {
  const client = startRaw(flags);
  clients.push(client);
  client.initialize();
  return client;
}

const scene = { image: "scene.png" };
const textOf = ({ result }: { result: { content: { text: string }[] } }) => result.content[0]!.text;
/** Enough questions to be at work for a while. */
const phrases = Array.from({ length: 16 }, (_, i) => `the circle number ${i}`);

async function expectAlive(client: Client, id = 99): Promise<void> {
  client.call(id, "describe_image", scene);
  const { result } = await client.answer(id);
  expect(result.structuredContent.text).toMatch(/\w/);
}

describe("input", () => {
  it("answers a request that is all there was, and ends", async () => {
    const client = startRaw();
    clients.push(client);
    client.initialize();
    client.send({ id: 1, method: "tools/list" });
    client.child.stdin.end();
    expect(await client.ended).toBe(0);
    expect(client.messages.map(({ id }) => id)).toEqual([0, 1]);
  });

  it("passes over lines that are no messages", async () => {
    const client = start();
    for (const line of ["nonsense", '{"jsonrpc":"2.0","id":', "[]", "{}", "", '"text'])
      client.sendText(`${line}\n`);
    await expectAlive(client);
  });

  it("tells an image that is too large as an error of its call", async () => {
    const client = start(["--max-image-bytes", "1MB"]);
    client.call(1, "describe_image", { image: { data: "A".repeat(8_000_000) } });
    client.call(2, "describe_image", { image: `data:image/png;base64,${"A".repeat(8_000_000)}` });
    for (const id of [1, 2]) {
      const answer = await client.answer(id);
      expect(answer.result.isError).toBe(true);
      expect(textOf(answer)).toMatch(/more than 1000000 bytes.*\(image_too_large\)/);
    }
    await expectAlive(client);
  });

  it("leaves out a message that is too long in other ways, and says so in its log", async () => {
    const client = start(["--max-image-bytes", "1MB"]);
    const regions = Array.from({ length: 600_000 }, () => [1, 2, 3, 4]);
    client.call(1, "read_text", { ...scene, regions });
    await client.logged("message_too_long");
    await expectAlive(client);
    expect(client.messages.some(({ id }) => id === 1)).toBe(false);
  });

  it("answers an unknown tool and an unknown method by errors of the protocol", async () => {
    const client = start();
    client.call(1, "look", scene);
    client.send({ id: 2, method: "prompts/list" });
    expect((await client.answer(1)).error).toMatchObject({ code: -32602 });
    expect((await client.answer(2)).error).toMatchObject({ code: -32601 });
    await expectAlive(client);
  });
});

describe("arguments", () => {
  const client = startRaw();
  let calls = 0;
  beforeAll(() => client.initialize());
  afterAll(() => client.child.stdin.end());

  it.each([
    ["describe_image", {}, /image: give a path, a URL or an image_id/],
    ["describe_image", { image: 7 }, /image: give a path/],
    ["describe_image", { image: {} }, /image: give a path/],
    ["describe_image", { image: { path: "scene.png", url: "x" } }, /image: give a path/],
    ["detect_objects", { ...scene, min_confidence: 0.5 }, /min_confidence/],
    ["describe_image", { ...scene, detail: "very" }, /detail/],
    ["detect_objects", { ...scene, min_score: "0.5" }, /min_score/],
    ["find", { ...scene, phrases: "circle" }, /phrases/],
    ["find", { ...scene, phrases: Array.from({ length: 17 }, () => "a circle") }, /17 .*16 .*too_many_tasks/],
    ["describe_region", { ...scene, box: [1, 2, 3] }, /box: give four numbers/],
    ["describe_region", { ...scene, box: { x1: null, y1: 0, x2: 1, y2: 1 } }, /box: give \{ x1/],
    ["describe_image", { image: "\0" }, /file_unreadable/],
    ["describe_image", { image: "" }, /invalid_image/],
    ["describe_image", { image: "a".repeat(5000) }, /file_unreadable/],
  ])("tells what is wrong with %s %j", async (name, fields, message) => {
    client.call(++calls, name, fields);
    const answer = await client.answer(calls);
    expect(answer.result.isError).toBe(true);
    expect(textOf(answer)).toMatch(message);
  });
});

describe("calls", () => {
  it("at the same time are all answered", async () => {
    const client = start();
    const ids = [1, 2, 3, 4];
    for (const id of ids) client.call(id, id % 2 ? "describe_image" : "detect_objects", scene);
    for (const id of ids) expect((await client.answer(id)).result.isError).toBeFalsy();
  });

  it("that are cancelled end without an answer, while the model loads and while it works", async () => {
    const client = start();
    for (const id of [1, 2]) {
      client.call(id, "find", { ...scene, phrases }, true);
      await client.progress(id);
      client.send({ method: "notifications/cancelled", params: { requestId: id, reason: "enough" } });
      await client.until(() => client.log.filter(({ tool }) => tool === "find").length === id);
      if (id === 1) await expectAlive(client);
    }
    const codes = client.log.filter(({ tool }) => tool === "find").map(({ code }) => code);
    expect(codes).toEqual(["client_closed_request", "client_closed_request"]);
    await expectAlive(client, 100);
    expect(client.messages.some(({ id }) => id === 1 || id === 2)).toBe(false);
  });
});

describe("a client that leaves in the middle of a call", () => {
  it.each([
    ["closes its end of the input", (client: Client) => client.child.stdin.end()],
    ["reads no more", (client: Client) => client.child.stdout.destroy()],
  ])("and %s ends the program", async (_, leave) => {
    const client = start();
    await expectAlive(client);
    client.call(1, "find", { ...scene, phrases }, true);
    await client.progress(1);
    leave(client);
    expect(await client.ended).toBe(0);
  });
});
