import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { queues, type StartedQueue } from "./support/queues.ts";
import { newFolder } from "./support/runs.ts";
import { makeBatch, readBatch, readLines, type StartedServer, startServer } from "./support/servers.ts";
import { type StartedWorker, startWorker, until } from "./support/workers.ts";

const texts = (count: number) => Array.from({ length: count }, (_, i) => `text ${i}`);

for (const { name, isHere, start } of queues) {
  describe.skipIf(!isHere)(`batches of servers that share ${name}`, () => {
    let queue: StartedQueue;
    let dataDir: string;
    let open: (StartedServer | StartedWorker)[] = [];
    beforeEach(async () => {
      queue = await start();
      dataDir = newFolder();
      open = [];
    });
    afterEach(() => {
      for (const { process } of open) process.kill("SIGKILL");
      queue.stop();
    });

    const server = async (env: Readonly<Record<string, string>> = {}, more: readonly string[] = []) => {
      const args = ["--data-dir", dataDir, "--queue", queue.url, "--lock-duration", "3s", ...more];
      const started = await startServer(args, { FAKE_MS: "50", ...env });
      open.push(started);
      return started;
    };
    const worker = () => {
      const started = startWorker(["work", "--queue", queue.url, "--lock-duration", "3s"]);
      open.push(started);
      return started;
    };
    const countsOf = async (url: string, id: string) => (await readBatch(url, id)).request_counts;
    const end = async (url: string, id: string) => {
      const isOver = async () => /completed|cancelled|failed/.test((await readBatch(url, id)).status);
      await until(isOver);
      return readBatch(url, id);
    };

    it("are made on one, read on another, and survive the death of the first: each line once", async () => {
      const [first, second] = [await server(), await server()];
      const id = await makeBatch(first.url, texts(400));
      expect(await readBatch(second.url, id)).toMatchObject({ id, object: "batch" });
      await until(async () => (await countsOf(second.url, id)).completed >= 100);
      first.process.kill("SIGKILL");
      await first.ended;
      expect((await countsOf(second.url, id)).completed).toBeLessThan(400);
      const batch = await end(second.url, id);
      expect(batch).toMatchObject({
        status: "completed",
        request_counts: { total: 400, completed: 400, failed: 0 },
        usage: { input_tokens: 400 * 5, output_tokens: 400 * 3 },
      });
      const lines = await readLines(second.url, batch.output_file_id);
      expect(lines.map(({ custom_id }) => custom_id)).toEqual(texts(400).map((_, i) => `line-${i}`));
      for (const [i, { response }] of lines.entries())
        expect(response.body.results[0].text).toBe(`<CAPTION_TO_PHRASE_GROUNDING>text ${i}`);
      const third = await server();
      expect(await readBatch(third.url, id)).toEqual(batch);
      expect(await readLines(third.url, batch.output_file_id)).toEqual(lines);
    });

    it("are computed by workers of florence2-batch, when no server is left", async () => {
      const first = await server({ FAKE_MS: "2000" });
      const id = await makeBatch(first.url, texts(60));
      await until(async () => (await readBatch(first.url, id)).status === "in_progress");
      // The chunks are in the queue by then; those at work come back when their locks end.
      await new Promise((wake) => setTimeout(wake, 1000));
      first.process.kill("SIGKILL");
      await first.ended;
      worker();
      // It has no worker of its own until the batch is done.
      const reader = await startServer(["--data-dir", dataDir], { FAKE_MS: "600000" });
      open.push(reader);
      const batch = await end(reader.url, id);
      expect(batch.request_counts).toEqual({ total: 60, completed: 60, failed: 0 });
      expect(await readLines(reader.url, batch.output_file_id)).toHaveLength(60);
    });

    it("are cancelled on another server: what is done stays, the rest is told", async () => {
      const [first, second] = [await server({ FAKE_MS: "200" }), await server({ FAKE_MS: "200" })];
      const id = await makeBatch(first.url, texts(300));
      await until(async () => (await countsOf(second.url, id)).completed >= 20);
      await fetch(`${second.url}/v1/batches/${id}/cancel`, { method: "POST" });
      const batch = await end(first.url, id);
      expect(batch.status).toBe("cancelled");
      const { completed, failed } = batch.request_counts;
      expect(completed).toBeGreaterThan(0);
      expect(failed).toBeGreaterThan(0);
      expect(completed + failed).toBe(300);
      const errors = await readLines(first.url, batch.error_file_id);
      expect(errors.every(({ error }) => error.code === "batch_cancelled")).toBe(true);
    });

    it("go on when the queue is emptied, and when it is killed and comes back", async () => {
      const first = await server();
      const id = await makeBatch(first.url, texts(200));
      await until(async () => (await countsOf(first.url, id)).completed >= 20);
      queue.flush();
      await until(async () => (await countsOf(first.url, id)).completed >= 60);
      await queue.restart();
      const batch = await end(first.url, id);
      expect(batch.request_counts).toEqual({ total: 200, completed: 200, failed: 0 });
    });

    it("have an error for a request that kills processes, and answers to all others", async () => {
      const all = texts(40).map((text, i) => (i === 20 ? "poison" : text));
      let id: string | undefined;
      for (let deaths = 0; ; deaths++) {
        expect(deaths).toBeLessThan(8);
        const one = await server({ FAKE_MS: "5" });
        id ??= await makeBatch(one.url, all);
        const batch = await Promise.race([one.ended, end(one.url, id).catch(() => one.ended)]);
        if (typeof batch !== "object") continue;
        expect(batch.request_counts).toEqual({ total: 40, completed: 39, failed: 1 });
        const [error] = await readLines(one.url, batch.error_file_id);
        expect(error).toMatchObject({ custom_id: "line-20", error: { code: "crashed" } });
        expect(deaths).toBe(4);
        break;
      }
    });

    it("are left alone by servers with another model", async () => {
      const other = await server({}, ["--model", "another/model"]);
      const first = await server({ FAKE_MS: "5" });
      const id = await makeBatch(first.url, texts(30));
      expect((await end(other.url, id)).request_counts.completed).toBe(30);
    });
  });
}
