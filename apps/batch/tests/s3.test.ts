import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openStorage } from "../storage/storage.ts";
import { fakeModel } from "./support/fake_model.ts";
import { freePort } from "./support/redis.ts";
import { resultsOf, run } from "./support/runs.ts";
import { type S3Double, startS3 } from "./support/s3_double.ts";

describe("a bucket", () => {
  let s3: S3Double;
  beforeAll(async () => {
    s3 = await startS3();
    vi.stubEnv("AWS_ENDPOINT_URL", s3.url);
    vi.stubEnv("AWS_ACCESS_KEY_ID", "key");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "secret");
    for (let i = 0; i < 15; i++) s3.objects.set(`photos/2026/${i + 10}.jpg`, Buffer.from(`image ${i}`));
    s3.objects.set("photos/2026/notes.md", Buffer.from("no image"));
  });
  afterAll(() => {
    vi.unstubAllEnvs();
    s3.close();
  });

  const plan = (out: string) =>
    run(["plan", "s3://photos/2026", "--task", "CAPTION", "--out", out, "--chunk", "5"]);

  it("gives images and takes results, one object a chunk", async () => {
    await plan("s3://results/one");
    expect(await run(["work", "s3://results/one"])).toBe(0);
    const parts = [...s3.objects.keys()].filter((name) => name.startsWith("results/one/parts/"));
    expect(parts).toEqual([0, 1, 2].map((i) => `results/one/parts/part-0000${i}-of-00003.jsonl`));
    const { rows } = await resultsOf("s3://results/one");
    expect(rows.map(({ key }) => key)).toEqual(Array.from({ length: 15 }, (_, i) => `${i + 10}.jpg`));
    expect(rows.every(({ status }) => status === "ok")).toBe(true);
  });

  it("takes the first of two parts, by If-None-Match", async () => {
    await plan("s3://results/two");
    const slow = () => fakeModel({ milliseconds: 5 });
    const codes = await Promise.all([1, 2].map(() => run(["run-chunk", "s3://results/two", "0"], slow())));
    expect(codes).toEqual([0, 0]);
    expect(s3.answers).toContain("PUT 412");
    expect(
      await openStorage("s3://results/two").create("parts/part-00000-of-00003.jsonl", Buffer.from("x")),
    ).toBe(false);
    await run(["work", "s3://results/two"]);
    expect((await resultsOf("s3://results/two")).sha256).toBe((await resultsOf("s3://results/one")).sha256);
  });

  it("is asked again while it answers 503, and the run is the same", async () => {
    await plan("s3://results/three");
    const busy = fakeModel({ onImage: () => s3.busy(2) });
    expect(await run(["work", "s3://results/three"], busy)).toBe(0);
    expect(s3.answers.filter((answer) => answer.endsWith("503")).length).toBeGreaterThan(3);
    s3.busy(0);
    expect((await resultsOf("s3://results/three")).sha256).toBe((await resultsOf("s3://results/one")).sha256);
  });

  it("takes back parts with errors, and merges into a bucket", async () => {
    s3.objects.set("photos/2026/12.jpg", Buffer.from("bad"));
    await plan("s3://results/four");
    expect(await run(["work", "s3://results/four"])).toBe(1);
    s3.objects.set("photos/2026/12.jpg", Buffer.from("image 2"));
    await run(["errors", "s3://results/four", "--retry"]);
    const model = fakeModel();
    expect(await run(["work", "s3://results/four"], model)).toBe(0);
    expect(model.asked).toEqual(["image 2"]);
    expect([...s3.objects.keys()].filter((name) => name.includes("/kept/"))).toEqual([]);
  });

  it("that is not there is told as such, wherever it is named", async () => {
    const missing = expect.objectContaining({
      code: "file_not_found",
      message: expect.stringMatching(
        /^There is no bucket fotos .* Check the name of the bucket, AWS_REGION and/,
      ),
    });
    const images = run(["plan", "s3://fotos/2026", "--task", "OD", "--out", "s3://results/five"]);
    await expect(images).rejects.toEqual(missing);
    await expect(run(["work", "s3://fotos/run"])).rejects.toEqual(missing);
    await expect(plan("s3://fotos/run")).rejects.toThrow(/could not write .* Check the name of the bucket/);
    const empty = run(["plan", "s3://photos/2027", "--task", "OD", "--out", "s3://results/five"]);
    await expect(empty).rejects.toThrow("s3://photos/2027 has no image.");
    await expect(run(["work", "s3://results/five"])).rejects.toThrow("has no run.json");
  });

  it("that cannot be opened is told with the remedy", async () => {
    vi.stubEnv("AWS_ACCESS_KEY_ID", "");
    expect(() => openStorage("s3://results")).toThrow(/needs AWS_ACCESS_KEY_ID/);
    expect(() => openStorage("s3://")).toThrow(/names no bucket/);
    vi.stubEnv("AWS_ACCESS_KEY_ID", "key");
    vi.stubEnv("AWS_ENDPOINT_URL", `http://127.0.0.1:${await freePort()}`);
    await expect(openStorage("s3://results").list("")).rejects.toMatchObject({
      code: "download_failed",
      message: expect.stringMatching(/could not list its objects .*Check AWS_ENDPOINT_URL and the network/),
    });
  });
});
