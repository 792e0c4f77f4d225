/** A Redis of a script's own, as a queue needs it, on a free port. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export async function startRedis() {
  const port = await new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port: free } = server.address();
      server.close(() => resolve(String(free)));
    });
  });
  const settings = ["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""];
  const folder = mkdtempSync(join(tmpdir(), "florence2-redis-"));
  const redis = spawn("redis-server", ["--port", port, "--dir", folder, ...settings], { stdio: "ignore" });
  const cli = (...args) => spawnSync("redis-cli", ["-p", port, ...args], { encoding: "utf8" }).stdout ?? "";
  while (cli("ping").trim() !== "PONG") await new Promise((wake) => setTimeout(wake, 50));
  return {
    url: `redis://127.0.0.1:${port}`,
    /** In use, in megabytes. */
    memory: () => Number(/used_memory:(\d+)/.exec(cli("info", "memory"))[1]) / 1e6,
    stop: () => redis.kill("SIGKILL"),
  };
}
