import { randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Florence2Error } from "florence2-webgpu";
import { codeOf, FULL, UNFINISHED } from "./durable.ts";
import { makeFolder } from "./make_folder.ts";

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "no permission",
  EPERM: "no permission",
  EROFS: "its disk is read-only",
  EEXIST: "there is a file in its place",
  ENOTDIR: "there is a file in its place",
};

/** The folder of uploaded files, and that of batches. */
export const dataFolders = (dataDir: string) => ({
  files: join(dataDir, "files"),
  batches: join(dataDir, "batches"),
});

/**
 * Makes the folders for files and batches, and tries whether they can be written.
 *
 * @throws {Florence2Error} `file_unwritable`
 */
export function expectDataDir(dataDir: string): void {
  for (const folder of Object.values(dataFolders(dataDir))) {
    const path = join(folder, `${randomUUID()}${UNFINISHED}`);
    try {
      makeFolder(folder, 0o700);
      writeFileSync(path, "", { mode: 0o600 });
      rmSync(path, { force: true });
    } catch (cause) {
      const code = codeOf(cause);
      // What is there can be read and deleted all the same.
      if (FULL.includes(code)) continue;
      const message = `Files and batches cannot be kept in ${dataDir}: ${REASONS[code] ?? (cause as Error).message}. Name a folder that this user can write with --data-dir or FLORENCE2_DATA_DIR.`;
      throw new Florence2Error("file_unwritable", message, { path: dataDir, reason: code }, cause);
    }
  }
}
