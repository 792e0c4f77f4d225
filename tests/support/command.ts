import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));
export const deno = `${root}node_modules/.bin/deno`;

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program `florence2` in the root, its sources as they are, under Deno. */
export function florence2(
  args: readonly string[],
  env: Record<string, string> = {},
  input: Uint8Array = new Uint8Array(),
): Promise<Ended> {
  const program = ["run", "-A", "--unstable-webgpu", "cli.ts", ...args];
  const child = spawn(deno, program, { cwd: root, env: { ...process.env, ...env } });
  const ended = { stdout: "", stderr: "" };
  child.stdout.setEncoding("latin1").on("data", (text) => (ended.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (ended.stderr += text));
  child.stdin.on("error", () => {}).end(input);
  return new Promise((resolve) => child.on("close", (code) => resolve({ code: code ?? 1, ...ended })));
}
