import { Florence2, tasks } from "florence2-webgpu";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundledCheckpoint } from "../engine/florence2_engine.ts";
import { openService, scene, sceneUrl, type TestService } from "./support/service.ts";

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

const ask = async (body: object) => {
  const response = await service.post("/v1/florence2", body);
  const answer = await response.json();
  expect(response.status, JSON.stringify(answer)).toBe(200);
  return answer;
};
const refused = async (body: object) => {
  const response = await service.post("/v1/florence2", body);
  return [response.status, (await response.json()).error.code];
};

describe("POST /v1/florence2", () => {
  it("answers several tasks about an image that is looked at once", async () => {
    const encoded = () =>
      service.service.metrics.registry.getSingleMetricAsString("florence2_image_encode_seconds");
    const count = async () => Number(/_count (\d+)/.exec(await encoded())![1]);
    const before = await count();
    const { results, usage, timings, width, height } = await ask({
      image: sceneUrl,
      tasks: [
        "<CAPTION>",
        "od",
        { task: "<OPEN_VOCABULARY_DETECTION>", text: "a boat" },
        { task: "<REGION_TO_OCR>", region: [10, 20, 90, 80] },
      ],
    });
    expect(await count()).toBe(before + 1);
    expect([width, height]).toEqual([192, 192]);
    const expected = [
      await model.run(scene, "<CAPTION>"),
      await model.run(scene, "<OD>"),
      await model.run(scene, "<OPEN_VOCABULARY_DETECTION>", { text: "a boat" }),
      await model.run(scene, "<REGION_TO_OCR>", { region: { x1: 10, y1: 20, x2: 90, y2: 80 } }),
    ];
    expect(results.map(({ answer }: { answer: unknown }) => answer)).toEqual(
      expected.map(({ answer }) => answer),
    );
    expect(usage.prompt_tokens_details).toMatchObject({ image_tokens: 4 * 65, cached_tokens: 3 * 65 });
    expect(Object.keys(timings)).toEqual(["queue_ms", "image_ms", "answers_ms"]);
    for (const time of Object.values(timings)) expect(time).toBeGreaterThanOrEqual(0);
  });

  it("gives what a request says for all tasks to those that can take it", async () => {
    const { results } = await ask({
      image: sceneUrl,
      tasks: ["<OD>", "<CAPTION_TO_PHRASE_GROUNDING>", "<REGION_TO_CATEGORY>"],
      text: "a boat",
      region: [0, 0, 90, 90],
    });
    expect(results.length).toBe(3);
  });

  it("takes one task, options and a drawing", async () => {
    const { results } = await ask({
      image: { data: Buffer.from(scene).toString("base64") },
      task: "<OD>",
      annotated: "svg",
      options: { num_beams: 1 },
    });
    expect(results[0].answer).toEqual((await model.run(scene, "<OD>", { numBeams: 1 })).answer);
    expect(results[0].annotated).toMatch(/^data:image\/svg/);
  });

  it("takes an image as the body, as curl sends it, and fields in the query", async () => {
    for (const headers of [
      { "content-type": "image/png" },
      { "content-type": "application/x-www-form-urlencoded" },
    ]) {
      const response = await service.request(
        "/v1/florence2?task=REGION_TO_OCR&region=10,20,90,80&num_beams=2",
        { method: "POST", headers, body: scene },
      );
      const { results } = await response.json();
      const { answer } = await model.run(scene, "<REGION_TO_OCR>", {
        region: { x1: 10, y1: 20, x2: 90, y2: 80 },
        numBeams: 2,
      });
      expect(results[0].answer).toBe(answer);
    }
  });

  it("takes a form with a file", async () => {
    const form = new FormData();
    form.set("image", new Blob([scene]), "scene.png");
    form.set("tasks", "CAPTION,OD");
    const response = await service.request("/v1/florence2", { method: "POST", body: form });
    expect((await response.json()).results.map(({ task }: { task: string }) => task)).toEqual([
      "<CAPTION>",
      "<OD>",
    ]);
  });

  it("warns of a tag that it does not know", async () => {
    const { results } = await ask({ image: sceneUrl, task: "<OCD>" });
    expect(results[0].warnings[0]).toContain("<OCD>");
    expect((await ask({ image: sceneUrl, task: "<OD>" })).results[0].warnings).toBeUndefined();
  });

  it("refuses what it cannot answer", async () => {
    expect(await refused({ task: "<OD>" })).toEqual([400, "invalid_value"]);
    expect(await refused({ image: sceneUrl, task: "<OD>", tasks: ["<OD>"] })).toEqual([400, "invalid_value"]);
    expect(await refused({ image: sceneUrl, task: "<OD>", colour: 1 })).toEqual([400, "invalid_value"]);
    expect(await refused({ image: sceneUrl, task: "<OD>", text: "surplus" })).toEqual([400, "task_invalid"]);
    expect(await refused({ image: sceneUrl, task: "<REGION_TO_OCR>" })).toEqual([400, "task_invalid"]);
    expect(await refused({ image: sceneUrl, tasks: Array(17).fill("<OD>") })).toEqual([
      400,
      "too_many_tasks",
    ]);
    expect(await refused({ image: sceneUrl, task: "<OD>", options: { num_beams: 1000 } })).toEqual([
      400,
      "option_invalid",
    ]);
    const form = await service.request("/v1/florence2", {
      method: "POST",
      headers: { "content-type": "multipart/form-data; boundary=x" },
      body: "none",
    });
    expect([form.status, (await form.json()).error.code]).toEqual([400, "invalid_form"]);
  });

  it("lists what each task takes and gives", async () => {
    const { data } = await (await service.request("/v1/florence2/tasks")).json();
    expect(data.map(({ task }: { task: string }) => task)).toEqual(tasks.map(({ token }) => token));
    const { answer } = data.find(({ task }: { task: string }) => task === "<OD>");
    expect(answer).toMatchObject({ type: "object", required: ["bboxes", "labels", "scores"] });
  });
});
