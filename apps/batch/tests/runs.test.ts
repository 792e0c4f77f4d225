import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { Florence2Error } from "florence2-webgpu";
import { describe, expect, it, vi } from "vitest";
import type { BatchModel } from "../chunk/compute.ts";
import { chunkOf } from "../plan/measure_chunk.ts";
import { readPlan } from "../plan/plan.ts";
import { statusOf } from "../results/status.ts";
import { openStorage } from "../storage/storage.ts";
import { fakeModel } from "./support/fake_model.ts";
import { folderOf, images, newFolder, planned, resultsOf, run } from "./support/runs.ts";

describe("a run on this machine alone", () => {
  it("has one row for each image, in the order of keys, and a manifest that agrees", async () => {
    const out = await planned(images(25));
    expect(await run(["work", out])).toBe(0);
    const { rows } = await resultsOf(out);
    expect(rows.map(({ key }) => key)).toEqual(
      Array.from({ length: 25 }, (_, i) => `${String(i).padStart(5, "0")}.jpg`),
    );
    expect(rows[3]).toEqual({
      key: "00003.jpg",
      task: "<CAPTION>",
      model: "bundled@main",
      status: "ok",
      answer: "<CAPTION> image 00003.jpg",
      text: "<CAPTION> image 00003.jpg",
      rawText: "</s><s><CAPTION> image 00003.jpg</s>",
      objects: [{ label: "car", box: [1, 2, 30, 40], score: 0.987654321 }],
      score: -0.123456789 / 25,
      width: 64,
      height: 48,
      tokens: [2, 0, 5, 2],
      finishReason: "stop",
      bytes: 15,
    });
    expect(readdirSync(join(out, "parts"))).toEqual([
      "part-00000-of-00003.jsonl",
      "part-00001-of-00003.jsonl",
      "part-00002-of-00003.jsonl",
    ]);
    const manifest = JSON.parse(readFileSync(join(out, "manifest.json"), "utf8"));
    expect(manifest.totals).toMatchObject({ rows: 25, errors: 0 });
    expect(existsSync(join(out, "_SUCCESS"))).toBe(true);
    const storage = openStorage(out);
    const status = await statusOf(storage, await readPlan(storage));
    expect(status).toMatchObject({
      state: "done",
      images: { total: 25, done: 25, errors: 0 },
      chunks: { total: 3, done: 3 },
      secondsLeft: 0,
    });
    expect(status.images.done).toBe(manifest.totals.rows);
  });

  it("goes on after a stop, without asking again about what is done", async () => {
    const folder = images(40);
    const out = await planned(folder);
    const stop = new AbortController();
    let seen = 0;
    const first = fakeModel({
      onImage: () => {
        if (++seen === 28) stop.abort(new DOMException("stopped", "AbortError"));
      },
    });
    expect(await run(["work", out], first, stop.signal)).toBe(130);
    expect(existsSync(join(out, "manifest.json"))).toBe(false);
    const second = fakeModel();
    expect(await run(["work", out], second)).toBe(0);
    const done = first.asked.length + second.asked.length;
    // What was at work at the stop, a block at most, is asked again.
    expect(done).toBeLessThanOrEqual(40 + 32);
    expect(second.asked.length).toBeLessThan(40);
    const undisturbed = await planned(folder);
    await run(["work", undisturbed]);
    expect((await resultsOf(out)).sha256).toBe((await resultsOf(undisturbed)).sha256);
    expect(readdirSync(join(out, "partial"))).toEqual([]);
    const third = fakeModel();
    await run(["work", out], third);
    expect(third.asked).toEqual([]);
  });

  it("tells of broken and missing images in their rows, and computes them again when asked", async () => {
    const folder = folderOf({ "a.jpg": "a", "b.jpg": "bad", "c.jpg": "c", "d.jpg": "d" });
    const out = await planned(folder, ["--chunk", "3"]);
    rmSync(join(folder, "d.jpg"));
    expect(await run(["work", out])).toBe(1);
    const before = (await resultsOf(out)).rows.map((row) => (row.status === "error" ? row.error : "ok"));
    expect(before).toEqual([
      "ok",
      { code: "image_corrupt", message: "The image is broken." },
      "ok",
      { code: "file_not_found", message: expect.stringMatching(/d\.jpg is missing/) },
    ]);
    const printed = vi.spyOn(process.stdout, "write").mockReturnValue(true);
    try {
      await run(["errors", out, "--json"]);
      const lines = printed.mock.calls.map(([line]) => JSON.parse(String(line)).key);
      expect(lines).toEqual(["b.jpg", "d.jpg"]);
    } finally {
      printed.mockRestore();
    }
    writeFileSync(join(folder, "b.jpg"), "b");
    writeFileSync(join(folder, "d.jpg"), "d");
    await run(["errors", out, "--retry"]);
    expect(existsSync(join(out, "_SUCCESS"))).toBe(false);
    const model = fakeModel();
    expect(await run(["work", out], model)).toBe(0);
    expect(model.asked.sort()).toEqual(["b", "d"]);
    const { rows } = await resultsOf(out);
    expect(rows.map(({ key, status }) => `${key} ${status}`)).toEqual([
      "a.jpg ok",
      "b.jpg ok",
      "c.jpg ok",
      "d.jpg ok",
    ]);
    expect(readdirSync(join(out, "kept"))).toEqual([]);
  });

  it("refuses to mix runs that differ, and names in what; the same plan is found again", async () => {
    const folder = images(5);
    const out = await planned(folder);
    const plan = readFileSync(join(out, "run.json"), "utf8");
    await run(["plan", folder, "--task", "CAPTION", "--out", out, "--chunk", "10"]);
    expect(readFileSync(join(out, "run.json"), "utf8")).toBe(plan);
    const other = run([
      "plan",
      folder,
      "--task",
      "CAPTION",
      "--out",
      out,
      "--chunk",
      "10",
      "--num-beams",
      "1",
    ]);
    await expect(other).rejects.toThrow(/holds another run, which differs in numBeams/);
    writeFileSync(join(folder, "new.jpg"), "new");
    const longer = run(["plan", folder, "--task", "CAPTION", "--out", out, "--chunk", "10"]);
    await expect(longer).rejects.toThrow(/differs in list/);
  });

  it("refuses two images of one key, and leaves nothing; the same image twice is one", async () => {
    const list = (name: string, lines: readonly object[]) =>
      join(folderOf({ [name]: lines.map((line) => `${JSON.stringify(line)}\n`).join("") }), name);
    const [one, two] = [
      { key: "a", path: "one.jpg" },
      { key: "a", path: "two.jpg" },
    ];
    const out = newFolder();
    const args = ["--task", "CAPTION", "--out", out];
    await expect(run(["plan", list("two.jsonl", [one, two]), ...args])).rejects.toMatchObject({
      code: "data_invalid",
      message: expect.stringMatching(/^The key a stands for .*one\.jpg and for .*two\.jpg: keys must differ/),
    });
    expect(readdirSync(out)).toEqual([]);
    // Two folders with an image of the same name each.
    await expect(run(["plan", images(2), images(2), ...args])).rejects.toMatchObject({
      code: "data_invalid",
    });
    expect(readdirSync(out)).toEqual([]);
    await run(["plan", list("same.jsonl", [one, one]), ...args]);
    expect((await readPlan(openStorage(out))).items).toBe(1);
  });

  it("stops for a device that fails, with what is done kept", async () => {
    const out = await planned(images(20));
    const broken = {
      ...fakeModel(),
      runBatch: async (_: unknown, { onResult }: Parameters<BatchModel["runBatch"]>[1]) => {
        const lost = new Florence2Error("gpu_lost", "the device was lost");
        onResult?.(lost, 0);
        return [lost];
      },
    };
    await expect(run(["work", out], broken)).rejects.toMatchObject({ code: "gpu_lost" });
    expect(existsSync(join(out, "parts"))).toBe(false);
    expect(await run(["work", out])).toBe(0);
  });

  it("is cancelled and resumed", async () => {
    const out = await planned(images(20));
    await run(["cancel", out]);
    await expect(run(["work", out])).rejects.toThrow(/cancelled; florence2-batch resume/);
    await run(["resume", out]);
    expect(await run(["work", out])).toBe(0);
  });

  it("run-chunk computes one chunk, by its number or that of a Kubernetes or Slurm job", async () => {
    const out = await planned(images(30));
    expect(await run(["run-chunk", out, "1"])).toBe(0);
    expect(readdirSync(join(out, "parts"))).toEqual(["part-00001-of-00003.jsonl"]);
    vi.stubEnv("JOB_COMPLETION_INDEX", "2");
    await run(["run-chunk", out]);
    vi.unstubAllEnvs();
    vi.stubEnv("SLURM_ARRAY_TASK_ID", "0");
    await run(["run-chunk", out]);
    vi.unstubAllEnvs();
    expect((await resultsOf(out)).rows).toHaveLength(30);
    await expect(run(["run-chunk", out, "3"])).rejects.toThrow("chunks 0 to 2");
  });

  it("two workers that compute the same chunk make one part, without an error", async () => {
    const out = await planned(images(10));
    const models = [fakeModel({ milliseconds: 5 }), fakeModel({ milliseconds: 5 })];
    const codes = await Promise.all(models.map((model) => run(["run-chunk", out, "0"], model)));
    expect(codes).toEqual([0, 0]);
    expect(readdirSync(join(out, "parts"))).toEqual(["part-00000-of-00001.jsonl"]);
    expect((await resultsOf(out)).rows).toHaveLength(10);
  });

  it("passes over half a line that a crash left in the checkpoint", async () => {
    const out = await planned(images(10));
    mkdirSync(join(out, "partial"), { recursive: true });
    appendFileSync(join(out, "partial/part-00000-of-00001.jsonl"), '{"rows":[[0,{"key":"00');
    expect(await run(["work", out])).toBe(0);
    const undisturbed = await planned(images(10));
    await run(["work", undisturbed]);
    expect((await resultsOf(out)).rows).toEqual((await resultsOf(undisturbed)).rows);
  });

  for (const format of ["jsonl", "jsonl.gz", "parquet"]) {
    it(`writes the same bytes each time, and the same rows, as ${format}`, async () => {
      const folder = images(12);
      const [one, two] = [
        await planned(folder, ["--format", format]),
        await planned(folder, ["--format", format]),
      ];
      const reference = await planned(folder);
      for (const out of [one, two, reference]) await run(["work", out]);
      expect((await resultsOf(one)).sha256).toBe((await resultsOf(two)).sha256);
      expect((await resultsOf(one)).rows).toEqual((await resultsOf(reference)).rows);
    });
  }

  it("--chunk auto tries sixteen images, aims at a minute of work, and keeps what a run has", async () => {
    const folder = images(100);
    const out = newFolder();
    const args = ["plan", folder, "--task", "CAPTION", "--out", out, "--chunk", "auto"];
    const model = fakeModel({ milliseconds: 300 });
    await run(args, model);
    // One to warm up, then one of each sixth part of the list.
    expect(model.asked.slice(0, 4)).toEqual(
      [0, 0, 6, 12].map((i) => `image 000${String(i).padStart(2, "0")}.jpg`),
    );
    expect(model.asked).toHaveLength(17);
    const { chunkSize } = await readPlan(openStorage(out));
    // 300 ms an image are 200 a minute, and a busy machine is slower.
    expect(chunkSize % 32).toBe(0);
    expect(chunkSize).toBeGreaterThanOrEqual(32);
    expect(chunkSize).toBeLessThanOrEqual(192);
    const again = fakeModel();
    await run(args, again);
    expect(again.asked).toEqual([]);
    expect([chunkOf(0.001), chunkOf(0.5), chunkOf(3), chunkOf(1000)]).toEqual([1, 30, 192, 4096]);
  });

  it("--chunk auto says so where nothing can be measured", async () => {
    const out = newFolder();
    await run(["plan", folderOf({ "a.jpg": "bad" }), "--task", "CAPTION", "--out", out, "--chunk", "auto"]);
    expect((await readPlan(openStorage(out))).chunkSize).toBe(128);
  });

  it("planning ends at a signal", async () => {
    const stop = new AbortController();
    const args = ["plan", images(10), "--task", "CAPTION", "--out", newFolder(), "--chunk", "auto"];
    const model = fakeModel({ onImage: () => new Promise(() => stop.abort()) });
    expect(await run(args, model, stop.signal)).toBe(130);
  });

  it("says what is wrong with a command line", async () => {
    await expect(run(["wrok"])).rejects.toThrow(/no command wrok; there are plan, work/);
    await expect(run(["work"])).rejects.toThrow(/needs the folder of a run/);
    await expect(run(["status", newFolder()])).rejects.toThrow(/florence2-batch plan makes one/);
    await expect(run(["plan", "x.jpg", "--task", "OD"])).rejects.toThrow(/needs --out/);
    await expect(run(["plan", images(1), "--task", "ODD", "--out", newFolder()])).rejects.toMatchObject({
      code: "task_invalid",
    });
    await expect(run(["work", "x", "--queue", "nats://x"])).rejects.toThrow();
    const listed = run(["work", await planned(images(1)), "--image-urls", "list"]);
    await expect(listed).rejects.toThrow(/needs --allowed-media-domains/);
    await expect(run(["work", "x", "y"])).rejects.toThrow(/work takes no argument y/);
    const done = await planned(images(1));
    await run(["work", done]);
    const coco = run(["merge", done, "--to", newFolder(), "--format", "coco"]);
    await expect(coco).rejects.toThrow(
      /--format is coco, expected answers, .*; florence2 convert makes other/,
    );
    const file = join(images(1), "00000.jpg");
    const onFile = run(["plan", images(1), "--task", "OD", "--out", file]);
    await expect(onFile).rejects.toThrow(/Name a folder that can be written/);
  });

  it("names a model's folder by its whole path, since workers stand elsewhere", async () => {
    const out = await planned(images(1), ["--model", "tests"]);
    expect((await readPlan(openStorage(out))).model).toBe(resolve("tests"));
    const hub = await planned(images(1), ["--model", "microsoft/Florence-2-base"]);
    expect((await readPlan(openStorage(hub))).model).toBe("microsoft/Florence-2-base");
  });
});
