import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { StartedQueue } from "./queues.ts";
import { freePort } from "./redis.ts";
import { newFolder } from "./runs.ts";

const FOLDER = "/usr/lib/postgresql";
const bin = existsSync(FOLDER) ? join(FOLDER, readdirSync(FOLDER).sort().at(-1)!, "bin") : undefined;
export const hasPostgres = bin !== undefined && existsSync(join(bin, "initdb"));
if (!hasPostgres)
  console.warn("SKIPPED: no PostgreSQL here (Debian: apt-get install postgresql); its queue is not tested");

/** A PostgreSQL of the tests' own on a free port; as root it runs as the user `postgres`, since it refuses root. */
export async function startPostgres(): Promise<StartedQueue> {
  const port = await freePort();
  const data = newFolder();
  const isRoot = process.getuid?.() === 0;
  const command = (name: string, ...args: string[]): [string, string[]] =>
    isRoot
      ? ["setpriv", ["--reuid=postgres", "--regid=postgres", "--clear-groups", join(bin!, name), ...args]]
      : [join(bin!, name), args];
  if (isRoot) spawnSync("chown", ["postgres:postgres", data]);
  chmodSync(data, 0o700);
  const init = command("initdb", "-D", data, "-U", "florence2", "--auth", "trust", "--no-sync");
  const made = spawnSync(...init, { encoding: "utf8" });
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`);
  const url = `postgres://florence2@127.0.0.1:${port}/postgres`;
  let server: ChildProcess;
  const start = async () => {
    const settings = ["-p", String(port), "-k", data, "-c", "listen_addresses=127.0.0.1"];
    server = spawn(...command("postgres", "-D", data, ...settings), { stdio: "ignore" });
    while (spawnSync(join(bin!, "pg_isready"), ["-d", url]).status !== 0)
      await new Promise((wake) => setTimeout(wake, 100));
  };
  /** SIGQUIT is its death without a farewell: what it has on the disk is recovered at the next start. */
  const end = async () => {
    const ended = new Promise((done) => server.once("exit", done));
    server.kill("SIGQUIT");
    await ended;
  };
  await start();
  return {
    url,
    flush: () => void spawnSync(join(bin!, "psql"), [url, "-c", "truncate bullmq.job cascade"]),
    async restart() {
      await end();
      await start();
    },
    stop: () => void server.kill("SIGINT"),
  };
}
