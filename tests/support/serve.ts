import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Page } from "./chromium.ts";

export interface Served {
  /** Address of the example page. */
  readonly page: string;
  stop(): void;
}

/** The command `npm run page`, once it serves. */
export async function serve(): Promise<Served> {
  const script = fileURLToPath(new URL("../../scripts/page.mjs", import.meta.url));
  const server: ChildProcess = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  const page = await new Promise<string>((resolve, reject) => {
    server.on("exit", (code) => reject(new Error(`npm run page ended with ${code}`)));
    server.stdout!.on("data", (text) => {
      said += text;
      const found = /http:\S+browser\.html$/m.exec(said);
      if (found) resolve(found[0]);
    });
  });
  return { page, stop: () => void server.kill() };
}

/** Waits until the example page has its model, or says why it has none. */
export async function loaded(page: Page): Promise<void> {
  await page.until(
    `!["", "Loading", "Downloading"].includes(document.querySelector("#status")?.textContent.split(" ")[0] ?? "")`,
  );
}
