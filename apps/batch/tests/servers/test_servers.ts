import { join } from "node:path";
import { Checkpoint } from "florence2-server/chunks";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { newGate } from "../support/gate.ts";
import type { QueueServer, StartedQueue } from "../support/queues.ts";
import { freePort } from "../support/redis.ts";
import { newFolder } from "../support/runs.ts";
import { makeBatch, readBatch, readLines, type StartedServer, startServer } from "../support/servers.ts";
import { type StartedWorker, startWorker, until } from "../support/workers.ts";

/** Those from `gated` on wait at a gate. */
const texts = (count: number, gated = count) =>
  Array.from({ length: count }, (_, i) => `${i < gated ? "text" : "gate"} ${i}`);

/** Batches of servers that share a queue on this server. Each has a file of its own, so that both run at once. */
export function testServers({ name, isHere, start }: QueueServer): void {
  describe.skipIf(!isHere)(`batches of servers that share ${name}`, () => {
    let queue: StartedQueue;
    let dataDir: string;
    const open: (StartedServer | StartedWorker)[] = [];
    beforeAll(async () => {
      queue = await start();
    });
    beforeEach(() => {
      dataDir = newFolder();
    });
    afterEach(async () => {
      for (const { process } of open) process.kill("SIGKILL");
      await Promise.all(open.splice(0).map(({ ended }) => ended));
      queue.flush();
    });
    afterAll(() => queue.stop());

    const server = async (env: Readonly<Record<string, string>> = {}, more: readonly string[] = []) => {
      const args = ["--data-dir", dataDir, "--queue", queue.url, "--lock-duration", "2s", ...more];
      const started = await startServer(args, { FAKE_MS: "10", ...env });
      open.push(started);
      return started;
    };
    const worker = (more: readonly string[]) => {
      const started = startWorker(["work", "--queue", queue.url, "--lock-duration", "2s", ...more]);
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
      const gate = newGate();
      const [first, second] = [await server(gate.env), await server(gate.env)];
      const all = texts(160, 80);
      const id = await makeBatch(first.url, all);
      expect(await readBatch(second.url, id)).toMatchObject({ id, object: "batch" });
      await until(async () => (await countsOf(second.url, id)).completed >= 40);
      first.process.kill("SIGKILL");
      await first.ended;
      expect((await countsOf(second.url, id)).completed).toBeLessThanOrEqual(80);
      gate.open();
      const batch = await end(second.url, id);
      expect(batch).toMatchObject({
        status: "completed",
        request_counts: { total: 160, completed: 160, failed: 0 },
        usage: { input_tokens: 160 * 5, output_tokens: 160 * 3 },
      });
      const lines = await readLines(second.url, batch.output_file_id);
      expect(lines.map(({ custom_id }) => custom_id)).toEqual(all.map((_, i) => `line-${i}`));
      for (const [i, { response }] of lines.entries())
        expect(response.body.results[0].text).toBe(`<CAPTION_TO_PHRASE_GROUNDING>${all[i]}`);
      const third = await server();
      expect(await readBatch(third.url, id)).toEqual(batch);
      expect(await readLines(third.url, batch.output_file_id)).toEqual(lines);
    });

    it("are computed by workers of florence2-batch, when no server is left", async () => {
      const gate = newGate();
      const first = await server(gate.env);
      const id = await makeBatch(first.url, texts(60, 0));
      // All chunks are in the queue by then; those at work come back when their locks end.
      await gate.reached();
      first.process.kill("SIGKILL");
      await first.ended;
      gate.open();
      const port = await freePort();
      worker(["--metrics-port", String(port)]);
      // It has no worker of its own until the batch is done.
      const reader = await startServer(["--data-dir", dataDir], { FAKE_MS: "600000" });
      open.push(reader);
      const batch = await end(reader.url, id);
      expect(batch.request_counts).toEqual({ total: 60, completed: 60, failed: 0 });
      expect(await readLines(reader.url, batch.output_file_id)).toHaveLength(60);
      const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      expect(metrics).toMatch(/^florence2_batch_lines_total\{result="completed"\} 60$/m);
    });

    it("are cancelled on another server: what is done stays, the rest is told", async () => {
      const gate = newGate();
      const [first, second] = [await server(gate.env), await server(gate.env)];
      const id = await makeBatch(first.url, texts(120, 40));
      await until(async () => (await countsOf(second.url, id)).completed >= 20);
      await fetch(`${second.url}/v1/batches/${id}/cancel`, { method: "POST" });
      const batch = await end(first.url, id);
      expect(batch.status).toBe("cancelled");
      const { completed, failed } = batch.request_counts;
      expect(completed).toBeGreaterThan(0);
      expect(failed).toBeGreaterThan(0);
      expect(completed + failed).toBe(120);
      const errors = await readLines(first.url, batch.error_file_id);
      expect(errors.every(({ error }) => error.code === "batch_cancelled")).toBe(true);
    });

    it("go on when the queue is emptied, and when it is killed and comes back", async () => {
      const gate = newGate();
      const first = await server(gate.env);
      const id = await makeBatch(first.url, texts(120, 40));
      await gate.reached();
      queue.flush();
      gate.open();
      await until(async () => (await countsOf(first.url, id)).completed >= 60);
      await queue.restart();
      const batch = await end(first.url, id);
      expect(batch.request_counts).toEqual({ total: 120, completed: 120, failed: 0 });
    });

    /** The chunk with line 20. */
    const chunkOf = (id: string) => new Checkpoint(join(dataDir, "batches", id, "partial", "00001.jsonl"));

    it("have an error for a request that kills processes, and answers to all others", async () => {
      const all = texts(40).map((text, i) => (i === 20 ? "poison" : text));
      let id: string | undefined;
      for (let deaths = 0; ; deaths++) {
        expect(deaths).toBeLessThan(6);
        const one = await server({ FAKE_MS: "5" });
        id ??= await makeBatch(one.url, all);
        const batch = await Promise.race([one.ended, end(one.url, id).catch(() => one.ended)]);
        if (typeof batch !== "object") {
          // Seven deaths at the line alone, of eight; tests of the server count them all.
          if (deaths === 1) for (let i = 0; i < 7; i++) chunkOf(id).open([4]);
          continue;
        }
        expect(batch.request_counts).toEqual({ total: 40, completed: 39, failed: 1 });
        const [error] = await readLines(one.url, batch.error_file_id);
        expect(error).toMatchObject({ custom_id: "line-20", error: { code: "crashed" } });
        expect(deaths).toBe(3);
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
