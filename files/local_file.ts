import { fileSystem } from "../core/platform.ts";
import { allocate, missing, type RangedFile, ranged, unreadable } from "./ranged_file.ts";

/** One system call or one look at the abort signal per this many bytes. */
const CHUNK_BYTES = 64 * 2 ** 20;

/** Opens a file of the file system. Throws file_not_found or file_unreadable. */
export async function openLocal(path: string | URL, name: string, signal?: AbortSignal): Promise<RangedFile> {
  signal?.throwIfAborted();
  const { open, stat } = await fileSystem();
  const failed = (error: unknown): never => {
    const { code } = Object(error) as { readonly code?: unknown };
    if (code === "ENOENT" || code === "ENOTDIR") throw missing(name, "the file system", error);
    throw unreadable(name, `cannot be read (${code ?? error})`, error);
  };
  // Asked before opening: opening a pipe would wait for a writer, and a device may never end.
  const found = await stat(path).catch(failed);
  if (!found.isFile()) throw unreadable(name, "is not a regular file");
  const handle = await open(path, "r").catch(failed);
  const readRange: RangedFile["read"] = async (start, end, into) => {
    const now = await handle.stat().catch(failed);
    if (now.size !== found.size || now.mtimeMs !== found.mtimeMs) {
      throw unreadable(name, `changed while it was read (${found.size} bytes before, ${now.size} now)`);
    }
    const bytes = into ?? allocate(end - start, name);
    let filled = 0;
    while (filled < bytes.length) {
      signal?.throwIfAborted();
      const wanted = Math.min(CHUNK_BYTES, bytes.length - filled);
      const { bytesRead } = await handle.read(bytes, filled, wanted, start + filled).catch(failed);
      if (bytesRead === 0) return bytes.subarray(0, filled);
      filled += bytesRead;
    }
    return bytes;
  };
  return ranged(name, found.size, signal, readRange, () => handle.close());
}
