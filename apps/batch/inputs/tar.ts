import { open } from "node:fs/promises";
import { posix } from "node:path";
import { Florence2Error } from "florence2-webgpu";

const BLOCK = 512;
/** Links that lead to links, at most, as on Linux. */
const MAX_LINKS = 40;

export interface TarEntry {
  readonly name: string;
  /** Where its content begins, in bytes of the file. */
  readonly offset: number;
  readonly size: number;
}

/**
 * The files in a tar file (ustar, with names and sizes of GNU and pax): where they are, so that each is read alone. Links
 * within it come last, with the place of their file; one that leads elsewhere is empty.
 *
 * @throws {Florence2Error} `data_invalid` with the place
 */
export async function* readTar(path: string): AsyncGenerator<TarEntry> {
  const file = await open(path, "r").catch((error: unknown) => {
    throw new Florence2Error(
      "file_not_found",
      `${path} cannot be read: ${(error as Error).message}`,
      { path },
      error,
    );
  });
  try {
    const { size: length } = await file.stat();
    const read = async (offset: number, size: number) => {
      const bytes = Buffer.alloc(size);
      const { bytesRead } = await file.read(bytes, 0, size, offset);
      if (bytesRead < size)
        throw broken(path, offset, "it ends in the middle of an entry, so it was cut short");
      return bytes;
    };
    const places = new Map<string, TarEntry>();
    const links = new Map<string, string>();
    let longName: string | undefined;
    let longLink: string | undefined;
    let pax: ReadonlyMap<string, string> = new Map();
    for (let at = 0; at < length; ) {
      const header = await read(at, BLOCK);
      if (header.every((byte) => byte === 0)) break;
      checkSum(header, path, at);
      const size = pax.has("size") ? Number(pax.get("size")) : numberIn(header, 124, 12);
      const type = String.fromCharCode(header[156]!);
      const offset = at + BLOCK;
      if (!Number.isSafeInteger(size) || size < 0 || offset + size > length)
        throw broken(path, at, "an entry is longer than the file, which was cut short");
      at = offset + Math.ceil(size / BLOCK) * BLOCK;
      if (type === "L") longName = textIn(await read(offset, size), 0, size);
      else if (type === "K") longLink = textIn(await read(offset, size), 0, size);
      else if (type === "x") pax = paxFields(await read(offset, size));
      else {
        const prefix = textIn(header, 345, 155);
        const short = textIn(header, 0, 100);
        const isUstar = textIn(header, 257, 5) === "ustar" && textIn(header, 257, 8) !== "ustar  ";
        const written = pax.get("path") ?? longName ?? (isUstar && prefix ? `${prefix}/${short}` : short);
        const name = posix.normalize(written);
        const target = pax.get("linkpath") ?? longLink ?? textIn(header, 157, 100);
        // 7 is a file whose blocks were contiguous.
        if (type === "0" || type === "\0" || type === "7") {
          const entry = { name, offset, size };
          places.set(name, entry);
          yield entry;
        } else if (type === "1") links.set(name, posix.normalize(target));
        else if (type === "2") links.set(name, posix.join(posix.dirname(name), target));
        [longName, longLink, pax] = [undefined, undefined, new Map()];
      }
    }
    for (const name of links.keys()) {
      let target = name;
      for (let i = 0; i < MAX_LINKS && links.has(target); i++) target = links.get(target)!;
      const { offset, size } = places.get(target) ?? { offset: 0, size: 0 };
      yield { name, offset, size };
    }
  } finally {
    await file.close();
  }
}

/** Octal digits, or for large numbers of GNU tar a binary one. */
function numberIn(header: Buffer, at: number, length: number): number {
  if (header[at]! & 0x80) return Number(header.readBigUInt64BE(at + length - 8));
  return Number.parseInt(textIn(header, at, length).trim() || "0", 8);
}

function textIn(bytes: Buffer, at: number, length: number): string {
  const end = bytes.indexOf(0, at);
  return bytes.toString("utf8", at, end < 0 ? at + length : Math.min(end, at + length));
}

/** Lines of `LENGTH KEY=VALUE\n`, where the length counts bytes of the whole line. */
function paxFields(bytes: Buffer): Map<string, string> {
  const fields = new Map<string, string>();
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString("latin1", at, space));
    if (space < 0 || !(length > 0)) break;
    const [, key, value] = /^([^=]+)=([\s\S]*)\n$/.exec(bytes.toString("utf8", space + 1, at + length)) ?? [];
    if (key) fields.set(key, value!);
    at += length;
  }
  return fields;
}

function checkSum(header: Buffer, path: string, at: number): void {
  let sum = 0;
  for (const [i, byte] of header.entries()) sum += i >= 148 && i < 156 ? 0x20 : byte;
  if (sum !== numberIn(header, 148, 8)) throw broken(path, at, "the checksum of a header is wrong");
}

function broken(path: string, offset: number, why: string): Florence2Error {
  const hint = /gz$/.test(path) ? " A packed tar file must be unpacked to .tar." : "";
  return new Florence2Error("data_invalid", `${path} is no tar file at byte ${offset}: ${why}.${hint}`, {
    path,
    offset,
  });
}
