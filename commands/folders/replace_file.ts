/** Files of results: each is written whole or not at all, and what cannot be written is said with its name. */
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { Florence2Error } from "../../core/errors.ts";
import { makeFolder } from "../../files/make_folder.ts";

/** Bytes that file systems allow in a name, less those that a suffix takes. */
const LONGEST_NAME = 240;
const BLOCK = 1 << 16;

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "no permission",
  EDQUOT: "the quota of this user is used up",
  EEXIST: "a file is in the place of a folder",
  EISDIR: "a folder is in the place of the file",
  ENAMETOOLONG: "the name is too long",
  ENOENT: "no such folder can be made there",
  ENOSPC: "the disk is full",
  ENOTDIR: "a file is in the place of a folder",
  EPERM: "no permission",
  EXDEV: "a hard link stays on its disk; --copy and --symlink do not",
  EROFS: "the file system can only be read",
};

/** The error about a path that cannot be written; errors of other kinds stay as they are. */
export function unwritable(path: string, error: unknown): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (error instanceof Florence2Error || code === undefined || syscall === undefined) return error;
  const text = `${path} cannot be written: ${REASONS[code] ?? message} (${code}).`;
  return new Florence2Error("file_unwritable", text, { path, reason: code }, error);
}

/**
 * Makes a folder, and tries to write into it, before anything is computed.
 *
 * @throws {Florence2Error} `file_unwritable`
 */
export function expectWritable(folder: string): void {
  try {
    makeFolder(folder);
    const probe = join(folder, `.florence2-${process.pid}`);
    writeFileSync(probe, "");
    rmSync(probe);
  } catch (error) {
    throw unwritable(folder, error);
  }
}

/** Writes all bytes; the system may take them in parts, when the disk is nearly full. */
export function writeAll(fd: number, bytes: Uint8Array, position: number | null = null): void {
  for (let done = 0; done < bytes.length; ) {
    const at = position === null ? null : position + done;
    done += writeSync(fd, bytes, done, bytes.length - done, at);
  }
}

/** Where a file grows until it takes the place of another. */
export function partOf(path: string): string {
  const name = basename(path);
  if (Buffer.byteLength(name) <= LONGEST_NAME) return `${path}.part`;
  return join(dirname(path), `.${createHash("sha256").update(name).digest("hex").slice(0, 16)}.part`);
}

/**
 * Writes a file under another name first: what is at the path is the old content or all of the new.
 *
 * @throws {Florence2Error} `file_unwritable`
 */
export function replaceFile(path: string, pieces: Iterable<string | Uint8Array>): void {
  const part = partOf(path);
  try {
    makeFolder(dirname(path));
    const fd = openSync(part, "w");
    try {
      for (const piece of buffered(pieces)) writeAll(fd, piece);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(part, path);
  } catch (error) {
    discard(part);
    throw unwritable(path, error);
  }
}

/** Removes what was begun, if that can be. */
export function discard(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // The reason why it cannot be written is told already.
  }
}

/** Small pieces together, so that each line of a large file is no call of its own. */
function* buffered(pieces: Iterable<string | Uint8Array>): Generator<Uint8Array> {
  let pending: Buffer[] = [];
  let size = 0;
  for (const piece of pieces) {
    const bytes = Buffer.from(piece as string);
    pending.push(bytes);
    size += bytes.length;
    if (size < BLOCK) continue;
    yield Buffer.concat(pending);
    [pending, size] = [[], 0];
  }
  yield Buffer.concat(pending);
}

/** The text of a file, or undefined if there is none. */
export function readIfThere(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const message = `${path} cannot be read (${code}).`;
    throw new Florence2Error("file_unreadable", message, { path, reason: code }, error);
  }
}
