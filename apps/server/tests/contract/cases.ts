/** What a client may rely on, whatever serves: each case asks a service through `fetch` alone. */
import { expect } from "vitest";
import { chatAbout, scene, sceneUrl } from "../support/service.ts";

/** A path and what `fetch` takes. */
export type Ask = (path: string, init?: RequestInit) => Promise<Response>;

export const contract: readonly (readonly [name: string, run: (ask: Ask) => Promise<void>])[] = [
  [
    "is alive and ready, and says what it is",
    async (ask) => {
      expect((await ask("/livez")).status).toBe(200);
      expect(await (await ask("/readyz")).json()).toEqual({ status: "ready" });
      expect(await (await ask("/version")).json()).toMatchObject({
        name: "florence2-server",
        model: "florence2-nano",
      });
      expect((await (await ask("/v1/models")).json()).data[0].id).toBe("florence2-nano");
      expect((await (await ask("/openapi.json")).json()).openapi).toBe("3.1.0");
      expect(await (await ask("/metrics")).text()).toMatch(/^florence2_model_loaded 1$/m);
    },
  ],
  [
    "answers a chat, plain and streamed",
    async (ask) => {
      const plain = await post(ask, "/v1/chat/completions", chatAbout("<OD>"));
      const { message } = (await plain.json()).choices[0];
      expect(message.content).toMatch(/^\w+ \(\d+, \d+, \d+, \d+\) 0\.\d\d$/m);
      expect(message.florence2.objects.length).toBeGreaterThan(0);
      const streamed = await post(ask, "/v1/chat/completions", chatAbout("<OD>", { stream: true }));
      const events = (await streamed.text()).trim().split("\n\n");
      expect(events.pop()).toBe("data: [DONE]");
      const deltas = events.map((event) => JSON.parse(event.slice(6)).choices[0].delta.content ?? "");
      expect(deltas.join("")).toBe(message.content);
    },
  ],
  [
    "answers a response",
    async (ask) => {
      const content = [
        { type: "input_text", text: "<CAPTION>" },
        { type: "input_image", image_url: sceneUrl },
      ];
      const response = await post(ask, "/v1/responses", {
        model: "florence2-nano",
        input: [{ role: "user", content }],
      });
      expect((await response.json()).output[0].content[0].text).toMatch(/\w+/);
    },
  ],
  [
    "answers an image as the body, and a form",
    async (ask) => {
      const headers = { "content-type": "image/png" };
      const raw = await ask("/v1/florence2?tasks=OD,CAPTION", { method: "POST", headers, body: scene });
      const form = new FormData();
      form.set("image", new Blob([scene]), "scene.png");
      form.set("tasks", "OD,CAPTION");
      const sent = await ask("/v1/florence2", { method: "POST", body: form });
      expect((await raw.json()).results).toEqual((await sent.json()).results);
    },
  ],
  [
    "keeps files, and computes batches of them",
    async (ask) => {
      const body = { image: sceneUrl, task: "<CAPTION>" };
      const lines = ["a", "b"].map((custom_id) =>
        JSON.stringify({ custom_id, method: "POST", url: "/v1/florence2", body }),
      );
      const form = new FormData();
      form.set("purpose", "batch");
      form.set("file", new Blob([lines.join("\n")]), "lines.jsonl");
      const file = await (await ask("/v1/files", { method: "POST", body: form })).json();
      const request = { input_file_id: file.id, endpoint: "/v1/florence2", completion_window: "24h" };
      let batch = await (await post(ask, "/v1/batches", request)).json();
      while (batch.status !== "completed") {
        expect(batch.status).not.toBe("failed");
        await new Promise((resolve) => setTimeout(resolve, 50));
        batch = await (await ask(`/v1/batches/${batch.id}`)).json();
      }
      const output = await (await ask(`/v1/files/${batch.output_file_id}/content`)).text();
      expect(
        output
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line).custom_id)
          .sort(),
      ).toEqual(["a", "b"]);
      expect((await ask(`/v1/files/${file.id}`, { method: "DELETE" })).status).toBe(200);
    },
  ],
  [
    "says what is wrong, always in the same form",
    async (ask) => {
      const faults = [
        await post(ask, "/v1/chat/completions", chatAbout("<REGION_TO_OCR>")),
        await post(ask, "/v1/chat/completions", { ...chatAbout("<OD>"), model: "other" }),
        await ask("/v1/chat/completions", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: "{",
        }),
        await ask("/v1/chat/completions", {
          method: "POST",
          headers: { "content-type": "text/plain" },
          body: "{}",
        }),
        await ask("/v1/nothing"),
        await ask("/v1/chat/completions"),
      ];
      expect(faults.map(({ status }) => status)).toEqual([400, 404, 400, 415, 404, 405]);
      for (const response of faults) {
        expect(response.headers.get("x-request-id")).toMatch(/^req_/);
        expect(Object.keys((await response.json()).error).sort()).toEqual([
          "code",
          "message",
          "param",
          "type",
        ]);
      }
    },
  ],
  [
    "tells clients that send until the end what they sent too much of",
    async (ask) => {
      for (const [path, type] of [
        ["/v1/chat/completions", "application/json"],
        ["/v1/florence2", "image/png"],
      ] as const) {
        const headers = { "content-type": type };
        const response = await ask(path, { method: "POST", headers, body: new Uint8Array(40_000_000) });
        expect(response.status).toBe(413);
        expect((await response.json()).error.code).toBe("body_too_large");
      }
    },
  ],
  [
    "ends the work of a client that leaves",
    async (ask) => {
      const gone = new AbortController();
      const response = await post(
        ask,
        "/v1/chat/completions",
        chatAbout("<MORE_DETAILED_CAPTION>", { stream: true }),
        gone.signal,
      );
      await response.body!.getReader().read();
      gone.abort();
      const running = async () =>
        /^florence2_requests_running (\d+)$/m.exec(await (await ask("/metrics")).text())?.[1];
      while ((await running()) !== "0") await new Promise((resolve) => setTimeout(resolve, 50));
      expect((await post(ask, "/v1/chat/completions", chatAbout("<CAPTION>"))).status).toBe(200);
    },
  ],
];

const post = (ask: Ask, path: string, body: unknown, signal?: AbortSignal) =>
  ask(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
