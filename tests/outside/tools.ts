import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createReadStream, existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, extname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { expect, inject } from "vitest";
import { Page } from "../support/chromium.ts";

export const folder = inject("folder");
/** What every way of running the library has to answer about the bundled scene. */
export const CAPTION = "An elephant, a boat, a sign and a blue book.";

/** Runs a program in the folder; rejects with all that it said if it fails. */
export function call(command: string, args: readonly string[], cwd = folder): Promise<string> {
  return new Promise((resolve, reject) =>
    execFile(command, args, { cwd, maxBuffer: 2 ** 26, env: environment() }, (error, stdout, stderr) =>
      error ? reject(new Error(`${command} ${args.join(" ")}\n${stdout}\n${stderr}`)) : resolve(stdout),
    ),
  );
}

/** Without what vitest itself sets, which other tools read. */
function environment() {
  const { NODE_ENV: _, VITEST: __, ...env } = process.env;
  return { ...env, NEXT_TELEMETRY_DISABLED: "1", CI: "1" };
}

/** The script of a package that is installed in the folder. */
export const tool = (path: string) => join(folder, "node_modules", path);

export function write(path: string, content: string): string {
  const target = join(folder, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, content);
  return target;
}

/** A server of someone else's, once it has said its address. */
export async function started(command: string, args: readonly string[], cwd: string) {
  const server: ChildProcess = spawn(command, args, { cwd, env: environment(), detached: true });
  let said = "";
  const url = await new Promise<string>((resolve, reject) => {
    const hear = (text: Buffer) => {
      said += stripVTControlCharacters(String(text));
      const address = /http:\/\/localhost:\d+/.exec(said);
      if (address) resolve(address[0]);
    };
    server.stdout!.on("data", hear);
    server.stderr!.on("data", hear);
    server.on("exit", () => reject(new Error(`${command} ${args.join(" ")}\n${said}`)));
  });
  return { url, stop: () => void process.kill(-server.pid!, "SIGKILL"), said: () => said };
}

const TYPES: Readonly<Record<string, string>> = { ".html": "text/html", ".js": "text/javascript" };

/** Serves folders, the first that has the file; what none has is answered with 404. */
export async function serveFolders(...folders: readonly string[]) {
  const server = createServer((request, response) => {
    const path = new URL(request.url!, "http://localhost").pathname;
    const file = folders
      .map((place) => join(place, path))
      .find((name) => existsSync(name) && statSync(name).isFile());
    if (file === undefined) return response.writeHead(404).end();
    response.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://localhost:${port}`, stop: () => void server.close() };
}

/** What the page of projects/page.js, opened in a browser, found out. */
export async function expectPage(url: string): Promise<void> {
  const page = await Page.open(url);
  try {
    await page.until("globalThis.outcome !== undefined");
    expect(await page.evaluate("globalThis.outcome")).toBe(CAPTION);
  } finally {
    await page.close();
  }
}
