import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { fakeEngine } from "../support/fake_engine.ts";
import { openService, scene, sceneUrl, type TestService } from "../support/service.ts";

let service: TestService;
beforeAll(async () => {
  service = await openService();
});
afterAll(() => service.stop());

const fetchService = (url: unknown, init?: RequestInit) => service.request(String(url), init);

describe("the openai package", () => {
  const client = new OpenAI({
    baseURL: "http://localhost/v1",
    apiKey: "none",
    maxRetries: 0,
    fetch: fetchService,
  });
  const request = (text: string) => ({
    model: "florence2-nano",
    messages: [
      {
        role: "user" as const,
        content: [
          { type: "text" as const, text },
          { type: "image_url" as const, image_url: { url: sceneUrl } },
        ],
      },
    ],
  });
  type Typed = {
    florence2: { answer: { labels: string[] }; objects: { label: string; box: number[]; score: number }[] };
  };

  it("has the typed answer beside the text, plain and at the end of a stream", async () => {
    const { choices, _request_id } = await client.chat.completions.create(request("<OD>"));
    const message = choices[0]!.message as (typeof choices)[0]["message"] & Typed;
    expect(message.florence2.objects.map(({ label }) => label)).toEqual(message.florence2.answer.labels);
    expect(_request_id).toMatch(/^req_/);
    const stream = client.chat.completions.stream({
      ...request("<OD>"),
      stream_options: { include_usage: true },
    });
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]!.message.content).toBe(message.content);
    expect((final.choices[0]!.message as unknown as Typed).florence2).toEqual(message.florence2);
    expect(final.usage?.completion_tokens).toBeGreaterThan(0);
  });

  it("parses detections by a schema", async () => {
    const found = z.object({
      objects: z.array(z.object({ label: z.string(), box: z.array(z.number()), score: z.number() })),
    });
    const { choices } = await client.chat.completions.parse({
      ...request("<OD>"),
      response_format: zodResponseFormat(found, "found"),
    });
    const { parsed, florence2 } = choices[0]!.message as (typeof choices)[0]["message"] & Typed;
    expect(parsed).toEqual({
      objects: florence2.objects.map(({ label, box, score }) => ({ label, box, score })),
    });
  });

  it("tries again by itself when the queue is full", async () => {
    const small = await openService({ maxQueue: 1, maxRunning: 1 }, { engine: fakeEngine() });
    const { admission } = small.service;
    let count = 0;
    const retrying = new OpenAI({
      baseURL: "http://localhost/v1",
      apiKey: "none",
      fetch: async (url, init) => {
        const leave = count++ === 0 ? [admission.accept("interactive"), admission.accept("interactive")] : [];
        const response = await small.request(String(url), init);
        for (const one of leave) one();
        return response;
      },
    });
    const { choices } = await retrying.chat.completions.create(request("<CAPTION>"));
    expect([choices.length, count]).toEqual([1, 2]);
    expect(small.logged.map(({ status }) => status).filter(Boolean)).toEqual([429, 200]);
    await small.stop();
  });
});

describe("the ai package", () => {
  const provider = createOpenAICompatible({
    name: "florence2",
    baseURL: "http://localhost/v1",
    includeUsage: true,
    fetch: fetchService as typeof fetch,
  });
  const model = provider("florence2-nano");
  const messages = [
    {
      role: "user" as const,
      content: [
        { type: "text" as const, text: "<OD>" },
        { type: "image" as const, image: scene, mediaType: "image/png" },
      ],
    },
  ];

  it("generates and streams the same text, and counts tokens", async () => {
    const { text, usage, finishReason } = await generateText({ model, messages, maxRetries: 0 });
    expect(text).toMatch(/\(\d+, \d+, \d+, \d+\)/);
    expect(finishReason).toBe("stop");
    expect(usage.inputTokens).toBeGreaterThan(65);
    const streamed = streamText({ model, messages, maxRetries: 0 });
    expect(await streamed.text).toBe(text);
    expect((await streamed.usage).outputTokens).toBe(usage.outputTokens);
  });

  it("passes fields of this server by providerOptions", async () => {
    const providerOptions = { florence2: { task: "<CAPTION>" } };
    const { text } = await generateText({ model, messages, providerOptions, maxRetries: 0 });
    expect(text).not.toMatch(/\(\d+, \d+, \d+, \d+\)/);
  });
});
