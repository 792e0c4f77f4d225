import OpenAI from "openai";
import { afterAll, beforeAll, expect, it } from "vitest";
import { chatAbout, openService, sceneUrl, type TestService } from "./support/service.ts";

let service: TestService;
let client: OpenAI;
beforeAll(async () => {
  service = await openService();
  client = new OpenAI({
    baseURL: "http://localhost/v1",
    apiKey: "none",
    maxRetries: 0,
    fetch: (url, init) => service.request(String(url), init),
  });
});
afterAll(() => service.stop());

const asking = (text: string, fields: object = {}) => ({
  model: "florence2-nano",
  input: [
    {
      role: "user" as const,
      content: [
        { type: "input_text" as const, text },
        { type: "input_image" as const, image_url: sceneUrl, detail: "auto" as const },
      ],
    },
  ],
  ...fields,
});

for (const task of ["<MORE_DETAILED_CAPTION>", "<OD>"]) {
  it(`${task}: the text is that of a chat, the events come in order and end in the same response`, async () => {
    const chat = await (await service.post("/v1/chat/completions", chatAbout(task))).json();
    const response = await client.responses.create(asking(task));
    expect(response.output_text).toBe(chat.choices[0].message.content);
    expect(response).toMatchObject({
      object: "response",
      status: "completed",
      error: null,
      incomplete_details: null,
    });
    expect((response as unknown as { florence2: unknown }).florence2).toEqual(
      chat.choices[0].message.florence2,
    );
    expect(response.usage).toMatchObject({
      input_tokens: chat.usage.prompt_tokens,
      output_tokens: chat.usage.completion_tokens,
      total_tokens: chat.usage.total_tokens,
      output_tokens_details: { reasoning_tokens: 0 },
    });

    const events: { type: string; sequence_number: number; delta?: string }[] = [];
    const stream = client.responses.stream(asking(task));
    for await (const event of stream) events.push(event as never);
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, i) => i));
    const types = events.map(({ type }) => type);
    expect(types.filter((type) => type !== "response.output_text.delta")).toEqual([
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.completed",
    ]);
    const deltas = events.filter(({ type }) => type === "response.output_text.delta");
    expect(deltas.map(({ delta }) => delta).join("")).toBe(response.output_text);
    expect((await stream.finalResponse()).output_text).toBe(response.output_text);
  });
}

it("an answer that is cut is incomplete", async () => {
  const response = await client.responses.create(asking("<CAPTION>", { max_output_tokens: 5 }));
  expect(response.status).toBe("incomplete");
  expect(response.incomplete_details).toEqual({ reason: "max_output_tokens" });
});

it("a format gives JSON", async () => {
  const schema = {
    type: "object",
    properties: { labels: { type: "array", items: { type: "string" } } },
    required: ["labels"],
    additionalProperties: false,
  };
  const response = await client.responses.create(
    asking("<OD>", { text: { format: { type: "json_schema", name: "found", schema, strict: true } } }),
  );
  const { answer } = (response as unknown as { florence2: { answer: { labels: string[] } } }).florence2;
  expect(JSON.parse(response.output_text)).toEqual({ labels: answer.labels });
});

it("echoes what the request says, and keeps nothing", async () => {
  const response = await client.responses.create(
    asking("<OCR>", { instructions: "Read.", metadata: { a: "b" }, store: true }),
  );
  expect(response).toMatchObject({
    instructions: "Read.",
    metadata: { a: "b" },
    store: false,
    tools: [],
    previous_response_id: null,
  });
  await expect(
    client.responses.create(asking("<OCR>", { previous_response_id: response.id })),
  ).rejects.toMatchObject({
    status: 400,
    param: "previous_response_id",
  });
  await expect(client.responses.create({ model: "florence2-nano", input: "<OD>" })).rejects.toMatchObject({
    code: "image_missing",
  });
});
