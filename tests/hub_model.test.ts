import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, it, vi } from "vitest";
import { Florence2, type ProgressEvent } from "../index.ts";
import { newFolder } from "./support/hub_cache.ts";
import { filesIn, REPOSITORY, startHub } from "./support/hub_server.ts";

const nano = fileURLToPath(new URL("../checkpoints/nano", import.meta.url));

it("a repository on a hub becomes a model, and does without the hub afterwards", async () => {
  const files = await filesIn(nano);
  const hub = await startHub(files);
  const folder = await newFolder();
  try {
    vi.stubEnv("HF_ENDPOINT", hub.url);
    vi.stubEnv("HF_HOME", folder);
    const events: ProgressEvent[] = [];
    const load = () =>
      Florence2.fromPretrained(REPOSITORY, { device: "cpu", onProgress: (event) => events.push(event) });
    const model = await load();
    const total = events.find((event) => event.status === "progress_total")!.total;
    expect(total).toBeGreaterThan(files["model.safetensors"]!.length);
    expect(events.at(-1)).toEqual({ status: "ready", device: model.device.name });
    model.dispose();

    vi.stubEnv("HF_HUB_OFFLINE", "1");
    hub.requests.length = 0;
    const again = await load();
    expect(again.config).toEqual(model.config);
    expect(hub.requests).toEqual([]);
    again.dispose();
  } finally {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
    await hub.close();
  }
});
