import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

// biome-ignore lint/suspicious/noExplicitAny: tests say what they expect.
type Message = any;

const fileOf = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** The built program and its input and output, line by line. It may read `scene.png`. */
export function startRaw(flags: readonly string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), "florence2-mcp-"));
  copyFileSync(fileOf("../../examples/scene.png"), join(folder, "scene.png"));
  const args = [fileOf("dist/main.js"), "--device", "cpu", "--root", folder, ...flags];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] });
  const messages: Message[] = [];
  const log: Message[] = [];
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  readLines(child.stdout, (line) => messages.push(JSON.parse(line)));
  readLines(child.stderr, (line) => log.push(JSON.parse(line)));
  // The program may end before it has read all.
  child.stdin.on("error", () => {});

  const sendText = (text: string) => child.stdin.write(text);
  const send = (message: object) => sendText(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  const until = async <T>(find: () => T | undefined | false): Promise<T> => {
    for (;;) {
      const found = find();
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  return {
    child,
    messages,
    log,
    ended,
    folder,
    send,
    sendText,
    until,
    initialize() {
      const clientInfo = { name: "test", version: "0" };
      send({
        id: 0,
        method: "initialize",
        params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo },
      });
      send({ method: "notifications/initialized" });
    },
    /** Calls a tool; a call with progress has its id as token. */
    call(id: number, name: string, fields: object, withProgress = false) {
      const params = {
        name,
        arguments: fields,
        ...(withProgress && { _meta: { progressToken: id } }),
      };
      send({ id, method: "tools/call", params });
    },
    answer: (id: number) => until(() => messages.find((message) => message.id === id)),
    progress: (id: number) => until(() => messages.find(({ params }) => params?.progressToken === id)),
    logged: (event: string) => until(() => log.find((line) => line.event === event)),
  };
}

function readLines(stream: NodeJS.ReadableStream, take: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) take(line);
  });
}
