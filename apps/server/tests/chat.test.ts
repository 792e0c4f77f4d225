import { Florence2, tasks } from "florence2-webgpu";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundledCheckpoint } from "../engine/florence2_engine.ts";
import { chatAbout, openService, scene, type TestService } from "./support/service.ts";

const INPUTS = { none: undefined, text: "a red car", region: "<loc_52><loc_332><loc_932><loc_774>" };
const prompts = tasks.map(({ token, input }) => `${token}${INPUTS[input] ?? ""}`);

let service: TestService;
let model: Florence2;
beforeAll(async () => {
  service = await openService();
  model = await Florence2.fromPretrained(bundledCheckpoint());
});
afterAll(async () => {
  await service.stop();
  model.dispose();
});

const ask = async (text: string, fields = {}) => {
  const response = await service.post("/v1/chat/completions", chatAbout(text, fields));
  expect(response.status).toBe(200);
  return response.json();
};

const dataOf = (events: string) =>
  events
    .split("\n\n")
    .filter(Boolean)
    .map((event) => event.replace(/^data: /, ""));

describe("chat completions", () => {
  for (const prompt of prompts) {
    it(`${prompt}: the typed answer is that of run, and the streamed text is the plain one`, async () => {
      const plain = await ask(prompt);
      const { message, finish_reason } = plain.choices[0];
      const { answer, width, height, finishReason, score, tokens } = await model.run(scene, prompt);
      expect(message.florence2.answer).toEqual(answer);
      expect(message.florence2).toMatchObject({ width, height, score });
      expect(finish_reason).toBe(finishReason);
      expect(message.content).toBe(message.florence2.text);
      expect(message.content).not.toMatch(/<\/?s>|<loc_/);
      expect(plain.usage.completion_tokens).toBe(tokens.length - 1);
      expect(plain.usage.total_tokens).toBe(plain.usage.prompt_tokens + plain.usage.completion_tokens);

      const response = await service.post(
        "/v1/chat/completions",
        chatAbout(prompt, { stream: true, stream_options: { include_usage: true } }),
      );
      expect(response.headers.get("content-type")).toMatch("text/event-stream");
      const events = dataOf(await response.text());
      expect(events.pop()).toBe("[DONE]");
      const chunks = events.map((event) => JSON.parse(event));
      expect(new Set(chunks.map(({ id, created, model }) => `${id} ${created} ${model}`)).size).toBe(1);
      const last = chunks.pop();
      expect(last).toMatchObject({
        choices: [],
        usage: { completion_tokens: plain.usage.completion_tokens },
      });
      expect(chunks.every(({ usage }) => usage === null)).toBe(true);
      const deltas = chunks.map(({ choices }) => choices[0].delta);
      expect(deltas[0]).toMatchObject({ role: "assistant", content: "" });
      expect(deltas.map(({ content = "" }) => content).join("")).toBe(message.content);
      expect(deltas.at(-1)).toEqual({});
      expect(deltas.at(-2).florence2).toEqual(message.florence2);
      expect(chunks.at(-1).choices[0].finish_reason).toBe(finish_reason);
    });
  }
});
