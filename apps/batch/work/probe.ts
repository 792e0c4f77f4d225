import { spawn } from "node:child_process";
import { Florence2Error } from "florence2-webgpu";
import type { Probe } from "../chunk/compute.ts";

/** Characters of a failure's message. */
const MAX_MESSAGE = 2000;

/**
 * Computes images in a process of its own, which images that end a process end in the place of this one.
 *
 * @param program the command line of `florence2-batch`
 * @param flags of `florence2-batch work` that say how to compute
 * @returns undefined from the probe if the process died
 * @throws {Florence2Error} from the probe, `cpu_failed` if the process could not do its work for a reason that it told
 */
export function probeWith(
  program: readonly string[],
  out: string,
  chunk: number,
  flags: readonly string[],
): Probe {
  return async (indices, signal) => {
    signal.throwIfAborted();
    const [runtime, ...args] = program;
    const command = ["probe", out, String(chunk), indices.join(","), ...flags];
    // It ends with its standard input, and so with this process.
    const child = spawn(runtime!, [...args, ...command], { stdio: ["pipe", "pipe", "pipe"] });
    const end = () => child.kill("SIGKILL");
    signal.addEventListener("abort", end, { once: true });
    try {
      const [rows, message, code] = await Promise.all([
        textOf(child.stdout),
        textOf(child.stderr),
        new Promise<number | null>((done, fail) => child.once("error", fail).once("close", done)),
      ]);
      signal.throwIfAborted();
      // Drivers may write to standard output too; the rows are its last line.
      if (code === 0) return JSON.parse(rows.trimEnd().split("\n").at(-1)!);
      // Its own exit codes; all others, and signals, are deaths.
      if (code !== 1 && code !== 2 && code !== 130) return undefined;
      const told = message.trim().slice(-MAX_MESSAGE);
      throw new Florence2Error("cpu_failed", `The process for images that ended others failed: ${told}`, {
        code,
      });
    } finally {
      signal.removeEventListener("abort", end);
    }
  };
}

/** How this program starts itself, on each runtime. */
export function ownProgram(main: string): string[] {
  const isDeno = "Deno" in globalThis;
  return [process.execPath, ...(isDeno ? ["run", "-A", "--no-lock"] : process.execArgv), main];
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = "";
  for await (const piece of stream.setEncoding("utf8")) text += piece;
  return text;
}
