import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { canMount, expectWhole, onSmallDisk, partsIn } from "./support/faults.ts";
import { gateAt } from "./support/gate.ts";
import { images, planned, resultsOf, run } from "./support/runs.ts";
import { startWorker, until } from "./support/workers.ts";

describe("faults without a queue", () => {
  it("a worker that is killed again and again finishes its run", async () => {
    const folder = images(200);
    const out = await planned(folder);
    const codes: (number | string)[] = [];
    while (codes.at(-1) !== 0 && codes.length < 20)
      codes.push(await startWorker(["work", out], { FAKE_LIFE: "35" }).ended);
    // Each killed one leaves whole groups behind, and loses seven images at most.
    expect(codes).toEqual([...Array(6).fill("SIGKILL"), 0]);
    await expectWhole(out, folder, 200);
  });

  it("an image that kills the process gets an error, and all others their answers", async () => {
    const folder = images(30);
    writeFileSync(join(folder, "00013.jpg"), "poison");
    const out = await planned(folder);
    const codes: (number | string)[] = [];
    for (let i = 0; i < 10 && codes.at(-1) !== 1; i++) codes.push(await startWorker(["work", out]).ended);
    expect(codes).toEqual(["SIGKILL", "SIGKILL", 1]);
    const { rows } = await resultsOf(out);
    expect(rows.filter(({ status }) => status === "error")).toEqual([
      expect.objectContaining({ key: "00013.jpg", error: { code: "crashed", message: expect.any(String) } }),
    ]);
    expect(rows).toHaveLength(30);
  });

  it("an image at which a worker is killed from outside, again and again, is not blamed", async () => {
    const folder = images(20);
    const out = await planned(folder);
    const partial = join(out, "partial/part-00000-of-00002.jsonl");
    const opened = () => (existsSync(partial) ? readFileSync(partial, "utf8").split('"open"').length - 1 : 0);
    for (let kills = 0; kills < 7; kills++) {
      const worker = startWorker(["work", out], { FAKE_MS: "60000" });
      await until(() => opened() > kills);
      worker.process.kill("SIGKILL");
      expect(await worker.ended).toBe("SIGKILL");
    }
    expect(await startWorker(["work", out]).ended).toBe(0);
    await expectWhole(out, folder, 20);
  });

  it("SIGTERM ends a worker in good order", async () => {
    const folder = images(100);
    const gate = gateAt(join(folder, "00025.jpg"));
    const out = await planned(folder);
    const worker = startWorker(["work", out], gate.env);
    await gate.reached();
    worker.process.kill("SIGTERM");
    expect(await worker.ended).toBe(130);
    expect(partsIn(out)).toHaveLength(2);
    expect(await startWorker(["work", out]).ended).toBe(0);
    await expectWhole(out, folder, 100);
  });

  it.skipIf(!canMount)(
    "a full disk is told, leaves nothing partial, and the run goes on when there is space",
    () =>
      onSmallDisk(async ({ folder: disk, fill, empty }) => {
        const folder = images(100);
        const out = join(disk, "run");
        await run(["plan", folder, "--task", "CAPTION", "--out", out, "--chunk", "10"]);
        fill();
        const worker = startWorker(["work", out]);
        expect(await worker.ended).toBe(1);
        expect(worker.output()).toMatch(/free some space, then start the same command again/);
        expect(partsIn(out).length).toBeLessThan(10);
        if (existsSync(join(out, "parts")))
          expect(readdirSync(join(out, "parts")).filter((name) => name.endsWith(".part"))).toEqual([]);
        empty();
        expect(await startWorker(["work", out]).ended).toBe(0);
        await expectWhole(out, folder, 100);
      }),
  );
});
