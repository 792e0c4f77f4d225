import { Florence2Error } from "../core/errors.ts";
import { isArrayBuffer, isBlob, isUint8Array } from "./realms.ts";

/** A file that is read in pieces. */
export interface RangedFile {
  /** As error messages show it. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /**
   * Bytes start to end - 1, in a buffer of their own, or in `into`, which has room for just as many. Throws
   * file_unreadable if the file no longer has them.
   */
  read(start: number, end: number, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** The content of one file, in memory or known to the browser (a `File` is a Blob). */
export type FileContent = Blob | Uint8Array | ArrayBuffer;

/** What all kinds of files have in common: a name, bounds, an end, and no short answers. */
export function ranged(
  name: string,
  size: number,
  signal: AbortSignal | undefined,
  readRange: RangedFile["read"],
  release: () => Promise<void> = async () => {},
): RangedFile {
  let open = true;
  return {
    name,
    size,
    async read(start, end, into) {
      signal?.throwIfAborted();
      if (!open) throw new Florence2Error("disposed", `${name} was closed.`, { file: name });
      if (!(0 <= start && start <= end && end <= size)) {
        throw unreadable(name, `has ${size} bytes; bytes ${start} to ${end} were asked for`);
      }
      if (start === end) return new Uint8Array(0);
      const bytes = await readRange(start, end, into);
      if (bytes.length !== end - start) {
        throw unreadable(
          name,
          `ended while it was read: ${bytes.length} bytes at ${start} instead of ${end - start}`,
        );
      }
      if (!into || bytes.buffer === into.buffer) return bytes;
      into.set(bytes);
      return into;
    },
    async close() {
      if (!open) return;
      open = false;
      await release();
    },
  };
}

export function openContent(content: FileContent, name: string, signal?: AbortSignal): RangedFile {
  if (isBlob(content)) {
    return ranged(name, content.size, signal, async (start, end) => {
      try {
        return new Uint8Array(await content.slice(start, end).arrayBuffer());
      } catch (error) {
        throw unreadable(name, "cannot be read any more", error);
      }
    });
  }
  const bytes = viewBytes(content, name);
  const size = bytes.length;
  return ranged(name, size, signal, async (start, end) => {
    // A buffer that was transferred meanwhile has no bytes left.
    const piece = bytes.length === size ? bytes.subarray(start, end) : new Uint8Array(0);
    const copy = allocate(piece.length, name);
    copy.set(piece);
    return copy;
  });
}

function viewBytes(content: Uint8Array | ArrayBuffer, name: string): Uint8Array {
  if (isUint8Array(content)) return content;
  if (!isArrayBuffer(content))
    throw unreadable(name, "is neither a Blob nor a Uint8Array nor an ArrayBuffer");
  try {
    return new Uint8Array(content);
  } catch (error) {
    throw unreadable(name, "is a buffer that was transferred away", error);
  }
}

/** A buffer of its own. Throws file_unreadable where the runtime cannot hold so much in one piece. */
export function allocate(bytes: number, file: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    throw unreadable(
      file,
      `cannot be read: this runtime has no ${bytes} bytes of memory in one piece`,
      error,
    );
  }
}

/** A path or URL as messages show it: its beginning and end if it is longer than 200 characters. */
export function shortened(name: string): string {
  return name.length <= 200 ? name : `${name.slice(0, 120)}…${name.slice(-60)} (${name.length} characters)`;
}

export function missing(file: string, place: string, cause?: unknown): Florence2Error {
  const name = shortened(file);
  return new Florence2Error("file_not_found", `${name} does not exist in ${place}.`, { file: name }, cause);
}

export function unreadable(file: string, problem: string, cause?: unknown): Florence2Error {
  const name = shortened(file);
  return new Florence2Error("file_unreadable", `${name} ${problem}.`, { file: name }, cause);
}
