import { loadImage } from "florence2-webgpu";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MAX_BYTES, MAX_SIDE } from "../../mcp/pictures.ts";
import {
  connectClient,
  connectEarlierClient,
  type McpClient,
  type ToolResult,
} from "../support/mcp_clients.ts";
import { openService, sceneUrl, type TestService } from "../support/service.ts";

let service: TestService;
beforeAll(async () => {
  service = await openService();
});
afterAll(() => service.stop());

const NAMES = [
  ...["describe_image", "detect_objects", "find", "read_text", "segment", "describe_region"],
  ...["crop", "annotate", "florence2"],
];

const box = { x1: 20, y1: 20, x2: 120, y2: 120 };
/** A call of each tool, in the order of the list. */
const CALLS: Readonly<Record<string, Record<string, unknown>>> = {
  describe_image: { detail: "short" },
  detect_objects: { picture: true },
  find: { phrases: ["a circle", "the large triangle"] },
  read_text: {},
  segment: { phrase: "circle" },
  describe_region: { box },
  crop: { box, padding: 0.1 },
  annotate: { marks: [{ label: "here", box }] },
  florence2: { task: "<DENSE_REGION_CAPTION>" },
};

const pictureOf = ({ content }: ToolResult) => content.find(({ type }) => type === "image");

describe.each([
  ["today's client", connectClient, "2026-07-28"],
  ["the client of the SDK before", connectEarlierClient, "2025-11-25"],
] as const)("%s", (_, connect, protocol) => {
  let client: McpClient;
  beforeAll(async () => {
    client = await connect(service);
  });
  afterAll(() => client.close());

  it(`speaks ${protocol}`, () => expect(client.protocol).toBe(protocol));

  it("lists every tool with title, schemas and annotations", async () => {
    const tools = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(NAMES);
    for (const tool of tools) {
      expect(tool.title).toBeTruthy();
      expect(tool.description).toBeTruthy();
      expect(tool.inputSchema).toMatchObject({ type: "object", required: expect.arrayContaining(["image"]) });
      expect(tool.outputSchema).toMatchObject({
        type: "object",
        properties: { image_id: { type: "string" } },
      });
      expect(tool.annotations).toEqual({
        readOnlyHint: true,
        destructiveHint: false,
        idempotentHint: true,
        openWorldHint: true,
      });
    }
  });

  it.each(Object.entries(CALLS))("calls %s", async (name, args) => {
    // Clients check the structured content against the schema that they were given.
    await client.listTools();
    const result = await client.call(name, { image: sceneUrl, ...args });
    expect(result.isError, JSON.stringify(result.content)).toBeFalsy();
    expect(result.structuredContent.image_id).toMatch(/^img_[0-9a-f]{32}$/);
    const [text] = result.content;
    expect(text.type).toBe("text");
    expect(text.text).toContain(result.structuredContent.image_id);
    const isDrawn = args.picture === true || name === "crop" || name === "annotate";
    expect(result.content.length).toBe(isDrawn ? 2 : 1);
  });

  it("gets a wrong argument as an error of the tool that names it", async () => {
    const result = await client.call("find", { image: sceneUrl, phrases: [] });
    expect(result.isError).toBe(true);
    expect(result.content[0].text).toMatch(/phrases/);
  });
});

describe("answers", () => {
  let client: McpClient;
  beforeAll(async () => {
    client = await connectClient(service);
    await client.listTools();
  });
  afterAll(() => client.close());

  it.each(["<OD>", "<CAPTION>", "<OCR_WITH_REGION>"])("%s is what the model answers", async (task) => {
    const { structuredContent } = await client.call("florence2", { image: sceneUrl, task });
    const response = await service.post("/v1/florence2", { image: sceneUrl, task });
    const { results } = await response.json();
    expect(structuredContent.answer).toEqual(results[0].answer);
    expect(structuredContent.objects.length).toBe(results[0].objects.length);
  });

  it("are about an image that is looked at once", async () => {
    const encodings = async () => {
      const text = await (await service.request("/metrics")).text();
      return Number(/^florence2_image_encode_seconds_count (\d+)$/m.exec(text)![1]);
    };
    const first = await client.call("describe_image", { image: sceneUrl });
    const before = await encodings();
    const { image_id } = first.structuredContent;
    for (const image of [image_id, { image_id }, sceneUrl])
      expect((await client.call("detect_objects", { image })).structuredContent.image_id).toBe(image_id);
    expect(await encodings()).toBe(before);
  });

  it("are relative to the image on request", async () => {
    const pixels = (await client.call("detect_objects", { image: sceneUrl })).structuredContent;
    const relative = (await client.call("detect_objects", { image: sceneUrl, coordinates: "relative" }))
      .structuredContent;
    expect(pixels.objects.length).toBeGreaterThan(0);
    for (const [i, { box: found }] of pixels.objects.entries())
      expect(relative.objects[i].box.x2).toBeCloseTo((found.x2 * 1000) / pixels.width, -0.5);
  });

  it("leave out what is less certain than asked", async () => {
    const all = (await client.call("detect_objects", { image: sceneUrl })).structuredContent.objects;
    const limit = Math.max(...all.map(({ score }: { score: number }) => score));
    const few = (await client.call("detect_objects", { image: sceneUrl, min_score: limit - 0.001 }))
      .structuredContent.objects;
    expect(few.length).toBeGreaterThan(0);
    expect(few.length).toBeLessThan(all.length);
  });

  it("come with pictures within the limits, of the whole image or a part", async () => {
    for (const [name, args] of [
      ["annotate", { task: "OD" }],
      ["crop", { box }],
      ["segment", { box, picture: true }],
    ] as const) {
      const { data, mimeType } = pictureOf(await client.call(name, { image: sceneUrl, ...args }));
      expect(mimeType).toBe("image/jpeg");
      const bytes = Buffer.from(data, "base64");
      expect(bytes.length).toBeLessThanOrEqual(MAX_BYTES);
      const { width, height } = await loadImage(bytes);
      expect(Math.max(width, height)).toBeLessThanOrEqual(MAX_SIDE);
      if (name === "crop") expect([width, height]).toEqual([100, 100]);
    }
  });

  it("can be asked about a part that was cut out", async () => {
    const cut = (await client.call("crop", { image: sceneUrl, box })).structuredContent;
    const { structuredContent } = await client.call("describe_image", { image: cut.image_id });
    expect([structuredContent.width, structuredContent.height]).toEqual([100, 100]);
    expect(structuredContent.image_id).toBe(cut.image_id);
  });

  it("cut out what a label names", async () => {
    const { objects } = (await client.call("detect_objects", { image: sceneUrl })).structuredContent;
    const { structuredContent, content } = await client.call("crop", {
      image: sceneUrl,
      label: objects[0].label,
    });
    expect(structuredContent.score, content[0].text).toBeGreaterThan(0);
    expect(structuredContent.width).toBe(structuredContent.box.x2 - structuredContent.box.x1);
  });

  it.each([
    ["segment", {}, /phrase or box/],
    ["crop", { box: { x1: 500, y1: 0, x2: 600, y2: 10 } }, /no pixel of the image/],
    ["crop", { label: "a", box }, /box or label/],
    ["annotate", {}, /marks or task/],
    ["describe_region", { box: [100, 100, 20, 20] }, /upper left corner first/],
    ["florence2", { task: "<REGION_TO_OCR>" }, /region/],
  ])("%s %j is refused with the remedy", async (name, args, message) => {
    const result = await client.call(name, { image: sceneUrl, ...args });
    expect(result.isError).toBe(true);
    expect(result.content[0].text).toMatch(message);
  });

  it("warn of a task that the model does not know", async () => {
    const { structuredContent, content } = await client.call("florence2", {
      image: sceneUrl,
      task: "<OCD>",
    });
    expect(structuredContent.warnings).toEqual([expect.stringContaining("<OCD>")]);
    expect(content[0].text).toContain(`Warning: ${structuredContent.warnings[0]}`);
  });
});
