import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createServer } from "node:net";
import type { StartedQueue } from "./queues.ts";
import { newFolder } from "./runs.ts";

export const hasRedis = spawnSync("redis-server", ["--version"]).status === 0;
if (!hasRedis)
  console.warn(
    "SKIPPED: no redis-server here (Debian: apt-get install redis-server); nothing of the queue is tested",
  );

/** A Redis of the tests' own, as a queue needs it, on a free port. @param more of its settings */
export async function startRedis(more = ""): Promise<StartedQueue> {
  const port = await freePort();
  const dir = newFolder();
  const settings =
    "--bind 127.0.0.1 --appendonly yes --appendfsync always --maxmemory-policy noeviction --save";
  const cli = (...args: string[]) =>
    spawnSync("redis-cli", ["-p", String(port), ...args], { encoding: "utf8" }).stdout;
  let server: ChildProcess;
  const start = async () => {
    const own = more === "" ? [] : more.split(" ");
    const args = ["--port", String(port), "--dir", dir, ...settings.split(" "), "", ...own];
    server = spawn("redis-server", args, { stdio: "ignore" });
    while (!/^(PONG|NOAUTH)/.test(cli("ping"))) await new Promise((wake) => setTimeout(wake, 50));
  };
  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    flush: () => void cli("flushall"),
    async restart() {
      const ended = new Promise((done) => server.once("exit", done));
      server.kill("SIGKILL");
      await ended;
      await start();
    },
    stop: () => void server.kill("SIGKILL"),
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((ready) => server.once("listening", ready));
  const { port } = server.address() as { port: number };
  await new Promise((closed) => server.close(closed));
  return port;
}
