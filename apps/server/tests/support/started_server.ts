import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface StartedServer {
  readonly url: string;
  readonly process: ChildProcess;
  /** Lines of the log so far. */
  readonly log: string[];
  /** The exit status, once it ends. */
  readonly ended: Promise<number | null>;
}

const main = fileURLToPath(new URL("../../dist/main.js", import.meta.url));

/** The built program in a process of its own, on the bundled checkpoint and a free port, once it is ready. */
export async function startServer(
  runtime: readonly string[] = [process.execPath],
  flags: readonly string[] = [],
): Promise<StartedServer> {
  const [command, ...args] = [
    ...runtime,
    main,
    "--port",
    "0",
    "--device",
    "cpu",
    "--request-timeout",
    "30m",
    ...flags,
  ];
  const FLORENCE2_DATA_DIR = mkdtempSync(join(tmpdir(), "florence2-server-"));
  const child = spawn(command!, args, {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, FLORENCE2_DATA_DIR },
  });
  const log: string[] = [];
  const ended = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
  const url = await new Promise<string>((resolve, reject) => {
    let address = "";
    let rest = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      log.push(...lines);
      for (const line of lines.filter((one) => one.startsWith("{"))) {
        const { event, url: found } = JSON.parse(line);
        if (event === "listening") address = found;
        if (event === "ready") resolve(address);
      }
    });
    void ended.then((code) => reject(new Error(`the server ended with ${code}:\n${log.join("\n")}`)));
  });
  return { url, process: child, log, ended };
}

export async function stopServer({ process: child, ended }: StartedServer): Promise<number | null> {
  child.kill("SIGTERM");
  return ended;
}
