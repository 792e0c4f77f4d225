import { Florence2, tasks } from "florence2-webgpu";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundledCheckpoint } from "../engine/florence2_engine.ts";
import { chatAbout, openService, scene, sceneUrl, type TestService } from "./support/service.ts";

const INPUTS = { none: undefined, text: "a red car", region: "<loc_52><loc_332><loc_932><loc_774>" };
const prompts = tasks.map(({ token, input }) => `${token}${INPUTS[input] ?? ""}`);

let service: TestService;
let model: Florence2;
beforeAll(async () => {
  service = await openService();
  model = await Florence2.fromPretrained(bundledCheckpoint(), { device: "cpu" });
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

  it("n gives n answers, best first, and usage counts all", async () => {
    const { choices, usage } = await ask("<CAPTION>", { n: 3 });
    const { sequences } = await model.run(scene, "<CAPTION>", { numReturnSequences: 3 });
    expect(choices.map(({ index }: { index: number }) => index)).toEqual([0, 1, 2]);
    expect(choices[0].message.florence2.sequence_scores).toEqual(sequences.map(({ score }) => score));
    expect(usage.completion_tokens).toBe(sequences.reduce((sum, { logProbs }) => sum + logProbs.length, 0));
    expect((await ask("<CAPTION>", { n: 5 })).choices.length).toBe(5);
  });

  it("a stream of several answers tells of each by its index", async () => {
    const response = await service.post(
      "/v1/chat/completions",
      chatAbout("<CAPTION>", { n: 2, stream: true }),
    );
    const chunks = dataOf(await response.text())
      .slice(0, -1)
      .map((event) => JSON.parse(event));
    const contents = [0, 1].map((index) =>
      chunks
        .flatMap(({ choices }) => choices)
        .filter((choice) => choice.index === index)
        .map(({ delta }) => delta.content ?? "")
        .join(""),
    );
    const { choices } = await ask("<CAPTION>", { n: 2 });
    expect(contents).toEqual(choices.map(({ message }: { message: { content: string } }) => message.content));
    expect(chunks.every((chunk) => !("usage" in chunk))).toBe(true);
  });

  it("max_tokens and max_completion_tokens cut the answer; of both the second counts", async () => {
    for (const fields of [{ max_tokens: 6 }, { max_completion_tokens: 6, max_tokens: 50 }]) {
      const { choices, usage } = await ask("<CAPTION>", fields);
      expect(choices[0].finish_reason).toBe("length");
      expect(usage.completion_tokens).toBe(6);
    }
  });

  it("a stop sequence ends the text before it, streamed or not", async () => {
    const whole = (await ask("<CAPTION>")).choices[0].message.content as string;
    const { choices } = await ask("<CAPTION>", { stop: ["sign", "boat"] });
    expect(choices[0].message.content).toBe(whole.slice(0, whole.indexOf("boat")));
    expect(choices[0].finish_reason).toBe("stop");
    const response = await service.post(
      "/v1/chat/completions",
      chatAbout("<CAPTION>", { stop: "boat", stream: true }),
    );
    const chunks = dataOf(await response.text())
      .slice(0, -1)
      .map((event) => JSON.parse(event));
    expect(chunks.map(({ choices: [choice] }) => choice.delta.content ?? "").join("")).toBe(
      choices[0].message.content,
    );
  });

  it("a seed makes sampling repeatable", async () => {
    const sample = async (seed: number) =>
      (await ask("<MORE_DETAILED_CAPTION>", { temperature: 2, seed, max_tokens: 30 })).choices[0].message
        .content;
    expect(await sample(7)).toBe(await sample(7));
    expect(
      new Set([await sample(1), await sample(2), await sample(3), await sample(4)]).size,
    ).toBeGreaterThan(1);
  });

  it("log-probabilities are those of the tokens that people see", async () => {
    const { choices } = await ask("<CAPTION>", { logprobs: true });
    const [{ logprobs, message }] = choices;
    expect(logprobs.content.map(({ token }: { token: string }) => token).join("")).toBe(message.content);
    for (const { logprob, bytes, token } of logprobs.content) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(Buffer.from(bytes).toString()).toBe(token);
    }
  });

  it("fields that mean nothing here do not change the answer", async () => {
    const plain = await ask("<OD>");
    const ignored = await ask("<OD>", {
      user: "someone",
      metadata: { a: "b" },
      store: true,
      tools: [{ type: "function", function: { name: "f" } }],
      tool_choice: "auto",
      parallel_tool_calls: true,
      frequency_penalty: 1,
      presence_penalty: 1,
      logit_bias: { "50": 10 },
      reasoning_effort: "high",
      prompt_cache_key: "k",
      unknown_field: { deep: [1] },
      temperature: 0,
      top_p: 0.1,
    });
    expect(ignored.choices).toEqual(plain.choices);
  });

  it("a task beside the prompt goes before a tag in it, by any of its names", async () => {
    const { answer } = (await ask("<OD>")).choices[0].message.florence2;
    for (const task of ["<OD>", "OD", "od", "object-detection"]) {
      const { florence2 } = (await ask(" <CAPTION> ", { task })).choices[0].message;
      expect(florence2.task).toBe("<OD>");
      expect(florence2.answer).toEqual(answer);
    }
  });

  it("a message without text asks the default task", async () => {
    expect((await ask("")).choices[0].message.florence2.task).toBe("<MORE_DETAILED_CAPTION>");
  });

  it("a region in pixels is the same as its location tags", async () => {
    const region = { x1: 10, y1: 63.8, x2: 179, y2: 148.7 };
    const byField = await ask("<REGION_TO_DESCRIPTION>", { region });
    const byTuple = await ask("<REGION_TO_DESCRIPTION>", { region: Object.values(region) });
    const byTags = await ask("<REGION_TO_DESCRIPTION><loc_52><loc_332><loc_932><loc_774>");
    expect(byField.choices[0].message.florence2.answer).toBe(byTags.choices[0].message.florence2.answer);
    expect(byTuple.choices[0].message).toEqual(byField.choices[0].message);
  });

  it("a list of phrases is asked one by one about the image looked at once", async () => {
    const phrases = ["a boat", "a sign"];
    const { choices, usage } = await ask("<OPEN_VOCABULARY_DETECTION>", { text: phrases });
    const alone = await Promise.all(
      phrases.map((text) => model.run(scene, "<OPEN_VOCABULARY_DETECTION>", { text })),
    );
    const { answer, objects } = choices[0].message.florence2;
    expect(answer.bboxes).toEqual(alone.flatMap((result) => result.answer.bboxes));
    expect(objects.length).toBe(answer.bboxes.length + answer.polygons.length);
    expect(usage.prompt_tokens_details.image_tokens).toBe(2 * 65);
  });

  it("later messages may be about an image of an earlier one; other roles mean nothing", async () => {
    const { content } = chatAbout("<CAPTION>").messages[0]!;
    const response = await service.post("/v1/chat/completions", {
      model: "florence2-nano",
      messages: [
        { role: "system", content: "You are a pirate." },
        { role: "user", content },
        { role: "assistant", content: "A boat." },
        { role: "user", content: "<OD>" },
      ],
    });
    const { message } = (await response.json()).choices[0];
    expect(message).toEqual((await ask("<OD>")).choices[0].message);
  });

  it("takes image_url as a string, and the part names of the Responses API", async () => {
    const plain = (await ask("<OD>")).choices;
    for (const part of [
      { type: "image_url", image_url: sceneUrl },
      { type: "input_image", image_url: sceneUrl },
      { type: "file", file: { file_data: sceneUrl, filename: "scene.png" } },
      { type: "file", file: { file_data: sceneUrl.replace(/^.*,/, "") } },
    ]) {
      const content = [{ type: "input_text", text: "<OD>" }, part];
      const response = await service.post("/v1/chat/completions", {
        model: "florence2-nano",
        messages: [{ role: "user", content }],
      });
      expect((await response.json()).choices).toEqual(plain);
    }
  });

  it("sends the image with the answer drawn onto it, if asked for", async () => {
    const png = (await ask("<OD>", { annotated: "png" })).choices[0].message.florence2.annotated;
    expect(Buffer.from(png.replace("data:image/png;base64,", ""), "base64").subarray(1, 4).toString()).toBe(
      "PNG",
    );
    const svg = (await ask("<OD>", { annotated: "svg" })).choices[0].message.florence2.annotated;
    expect(Buffer.from(svg.replace("data:image/svg+xml;base64,", ""), "base64").toString()).toMatch(/^<svg/);
  });

  it("uses the image that it looked at before", async () => {
    const { usage } = await ask("<OD>");
    expect(usage.prompt_tokens_details).toEqual({
      cached_tokens: 65,
      image_tokens: 65,
      text_tokens: usage.prompt_tokens - 65,
      audio_tokens: 0,
    });
  });
});

describe("response_format", () => {
  const asked = async (text: string, format: object) =>
    (await ask(text, { response_format: format })).choices[0].message;
  const schemaOf = (schema: object) => ({
    type: "json_schema",
    json_schema: { name: "answer", schema, strict: true },
  });
  const strings = { type: "array", items: { type: "string" } };
  const boxes = { type: "array", items: { type: "array", items: { type: "number" } } };

  it("json_object gives the answer, or { text } for words", async () => {
    const { content, florence2 } = await asked("<OD>", { type: "json_object" });
    expect(JSON.parse(content)).toEqual(florence2.answer);
    const caption = await asked("<CAPTION>", { type: "json_object" });
    expect(JSON.parse(caption.content)).toEqual({ text: caption.florence2.text });
  });

  it("a schema gets the part of the answer that it names", async () => {
    const { content, florence2 } = await asked(
      "<OD>",
      schemaOf({
        type: "object",
        properties: { labels: strings, bboxes: boxes },
        required: ["labels", "bboxes"],
        additionalProperties: false,
      }),
    );
    const { labels, bboxes } = florence2.answer;
    expect(JSON.parse(content)).toEqual({ bboxes, labels });
  });

  it("a schema of objects gets the objects, whatever the task", async () => {
    const object = {
      type: "object",
      properties: { label: { type: "string" }, score: { type: "number" } },
      required: ["label", "score"],
      additionalProperties: false,
    };
    const schema = {
      $defs: { object },
      type: "object",
      properties: { objects: { type: "array", items: { $ref: "#/$defs/object" } } },
      required: ["objects"],
    };
    for (const task of ["<OD>", "<OCR_WITH_REGION>"]) {
      const { content, florence2 } = await asked(task, schemaOf(schema));
      const expected = florence2.objects.map(({ label, score }: { label: string; score: number }) => ({
        label,
        score,
      }));
      expect(JSON.parse(content)).toEqual({ objects: expected });
    }
  });

  it("a schema that answers need not satisfy is refused with the task's own", async () => {
    for (const schema of [
      {
        type: "object",
        properties: { labels: { type: "array", items: { enum: ["cat"] } } },
        required: ["labels"],
      },
      { type: "object", properties: { labels: { ...strings, maxItems: 3 } }, required: ["labels"] },
      { type: "array", items: {} },
    ]) {
      const response = await service.post(
        "/v1/chat/completions",
        chatAbout("<OD>", { response_format: schemaOf(schema) }),
      );
      const { error } = await response.json();
      expect([response.status, error.code]).toEqual([400, "json_schema_unsupported"]);
      expect(error.message).toContain('"bboxes"');
    }
  });
});
