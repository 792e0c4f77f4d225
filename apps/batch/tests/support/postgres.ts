import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./redis.ts";
import { newFolder } from "./runs.ts";

const FOLDER = "/usr/lib/postgresql";
const bin = existsSync(FOLDER) ? join(FOLDER, readdirSync(FOLDER).sort().at(-1)!, "bin") : undefined;
export const hasPostgres = bin !== undefined && existsSync(join(bin, "initdb"));
if (!hasPostgres)
  console.warn("SKIPPED: no PostgreSQL here (Debian: apt-get install postgresql); its queue is not tested");

/** A PostgreSQL of the tests' own on a free port; as root it runs as the user `postgres`, since it refuses root. */
export async function startPostgres(): Promise<{ readonly url: string; stop(): void }> {
  const port = await freePort();
  const data = newFolder();
  const isRoot = process.getuid?.() === 0;
  const command = (name: string, ...args: string[]): [string, string[]] =>
    isRoot
      ? ["setpriv", ["--reuid=postgres", "--regid=postgres", "--clear-groups", join(bin!, name), ...args]]
      : [join(bin!, name), args];
  if (isRoot) spawnSync("chown", ["postgres:postgres", data]);
  chmodSync(data, 0o700);
  const made = spawnSync(
    ...command("initdb", "-D", data, "-U", "florence2", "--auth", "trust", "--no-sync"),
    {
      encoding: "utf8",
    },
  );
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`);
  const server: ChildProcess = spawn(
    ...command("postgres", "-D", data, "-p", String(port), "-k", data, "-c", "listen_addresses=127.0.0.1"),
    { stdio: "ignore" },
  );
  const url = `postgres://florence2@127.0.0.1:${port}/postgres`;
  while (spawnSync(join(bin!, "pg_isready"), ["-d", url]).status !== 0)
    await new Promise((wake) => setTimeout(wake, 100));
  return { url, stop: () => void server.kill("SIGINT") };
}
