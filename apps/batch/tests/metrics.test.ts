import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readPlan } from "../plan/plan.ts";
import { statusOf } from "../results/status.ts";
import { openStorage } from "../storage/storage.ts";
import { fakeModel } from "./support/fake_model.ts";
import { freePort } from "./support/redis.ts";
import { images, planned, run } from "./support/runs.ts";

describe("metrics of a worker", () => {
  it("count rows, errors and chunks as status does", async () => {
    const folder = images(25);
    writeFileSync(join(folder, "00005.jpg"), "bad");
    const out = await planned(folder);
    const port = await freePort();
    const began = Date.now() / 1000;
    let text = "";
    const model = fakeModel({
      async onImage(content) {
        // The last image: before its chunk ends.
        if (content === "image 00024.jpg")
          text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      },
    });
    await run(["work", out, "--metrics-port", String(port)], model);
    expect(text).toMatch(/^florence2_batch_images_total\{status="ok"\} 19$/m);
    expect(text).toMatch(/^florence2_batch_images_total\{status="error"\} 1$/m);
    expect(text).toMatch(/^florence2_batch_errors_total\{code="image_corrupt"\} 1$/m);
    expect(text).toMatch(/^florence2_batch_chunks_total\{state="done"\} 2$/m);
    const last = Number(/^florence2_batch_last_rows_timestamp_seconds (\S+)$/m.exec(text)?.[1]);
    expect(last).toBeGreaterThanOrEqual(began);
    expect(last).toBeLessThanOrEqual(Date.now() / 1000);
    // Those that the README names; servers/ has the lines of servers' batches.
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const named = new Set(readme.match(/florence2_batch_\w+/g));
    expect(named.delete("florence2_batch_lines_total")).toBe(true);
    expect(new Set([...text.matchAll(/^# HELP (\S+)/gm)].map(([, name]) => name))).toEqual(named);
    await expect(fetch(`http://127.0.0.1:${port}/metrics`)).rejects.toThrow();
    const storage = openStorage(out);
    const status = await statusOf(storage, await readPlan(storage));
    expect(status).toMatchObject({ images: { done: 25, errors: 1 }, errorCodes: { image_corrupt: 1 } });
  });
});
