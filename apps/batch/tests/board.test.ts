import { describe, expect, it, vi } from "vitest";
import { openBoard } from "../queue/board.ts";
import { queues } from "./support/queues.ts";
import { freePort } from "./support/redis.ts";
import { images, planned, run } from "./support/runs.ts";

for (const { name, isHere, start } of queues) {
  describe.skipIf(!isHere)(`the board of a queue on ${name}`, () => {
    it("shows the chunks that wait, on this machine alone", async () => {
      const queue = await start();
      const board = await openBoard(queue.url, 0);
      try {
        await planned(images(30), ["--queue", queue.url]);
        expect(await (await fetch(board.url)).text()).toMatch(/bull/i);
        const answer = await (await fetch(`${board.url}/api/queues?activeQueue=florence2-batch`)).json();
        const names = answer.queues.map((one: { name: string }) => one.name);
        expect(names).toEqual(["florence2-batch", "florence2-server"]);
        expect(answer.queues[0].counts).toMatchObject({ waiting: 3 });
        expect(answer.queues[0].jobs.map(({ data }: { data: object }) => data)).toHaveLength(3);
        const foreign = { headers: { origin: "https://evil.example" } };
        expect((await fetch(board.url, foreign)).status).toBe(403);
      } finally {
        await board.close();
        queue.stop();
      }
    });
  });
}

describe("bull-board", () => {
  it("that is not installed is named", async () => {
    vi.doMock("@bull-board/hono", () => {
      throw new Error("Cannot find package");
    });
    try {
      await expect(run(["board", "--queue", "redis://127.0.0.1:1"])).rejects.toMatchObject({
        code: "dependency_missing",
        message: expect.stringContaining("npm install @bull-board/api @bull-board/hono"),
      });
    } finally {
      vi.doUnmock("@bull-board/hono");
    }
    await expect(run(["board"])).rejects.toThrow(/needs --queue/);
    const away = `redis://127.0.0.1:${await freePort()}`;
    await expect(run(["board", "--queue", away])).rejects.toMatchObject({ code: "download_failed" });
  });
});
