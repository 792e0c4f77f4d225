import { quote } from "../../core/errors.ts";
/**
 * Reader of zip archives whose entries are stored as they are, such as PyTorch's: the directory at the end
 * is read at once, an entry when it is asked for. ZIP64 included.
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3 to 4.5
 *
 * Stricter than unzip: nothing may stand before or behind the archive, no name may occur twice, and no
 * entry may overlap another. Checksums are not compared: entries are read in ranges.
 */
import type { RangedFile } from "../files.ts";
import { fileInvalid, recognise } from "./tensor_file.ts";

export interface ZipEntry {
  readonly name: string;
  readonly bytes: number;
  /** Place of its local header, and of what comes behind its data. */
  readonly begin: number;
  readonly limit: number;
}

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const MAX_COMMENT_BYTES = 0xffff;
const LOCATOR_SIGNATURE = 0x07064b50;
const LOCATOR_BYTES = 20;
const END64_SIGNATURE = 0x06064b50;
const END64_BYTES = 56;
const DIRECTORY_SIGNATURE = 0x02014b50;
const DIRECTORY_ENTRY_BYTES = 46;
const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL_BYTES = 30;
const ZIP64_FIELD = 1;
/** The value of a field of 4 bytes that stands in the ZIP64 extra field instead. */
const ELSEWHERE = 0xffffffff;
/** Florence-2's own directories have 0.1 MB. */
const MAX_DIRECTORY_BYTES = 16 * 2 ** 20;

/** The entries of an archive by name. Throws pytorch_invalid. */
export async function readZipDirectory(file: RangedFile): Promise<ReadonlyMap<string, ZipEntry>> {
  const { start, bytes, count } = await findDirectory(file);
  const directory = await file.read(start, start + bytes);
  const entries = parseDirectory(directory, count, file.name).sort((a, b) => a.begin - b.begin);
  const placed = new Map<string, ZipEntry>();
  for (const [i, entry] of entries.entries()) {
    const limit = entries[i + 1]?.begin ?? start;
    if (entry.begin + LOCAL_BYTES + entry.bytes > limit) {
      throw invalid(file.name, `holds the entry ${quote(entry.name)}, which reaches beyond byte ${limit}`);
    }
    if (placed.has(entry.name)) throw invalid(file.name, `holds ${quote(entry.name)} twice`);
    placed.set(entry.name, { ...entry, limit });
  }
  return placed;
}

/** The place of the first byte of an entry's data. Throws pytorch_invalid if its local header is another's. */
export async function findEntryData(file: RangedFile, entry: ZipEntry): Promise<number> {
  const { buffer } = await file.read(entry.begin, entry.begin + LOCAL_BYTES);
  const header = new DataView(buffer);
  const start = entry.begin + LOCAL_BYTES + header.getUint16(26, true) + header.getUint16(28, true);
  if (header.getUint32(0, true) !== LOCAL_SIGNATURE || start + entry.bytes > entry.limit) {
    throw invalid(file.name, `has no valid header for ${quote(entry.name)} at byte ${entry.begin}`);
  }
  return start;
}

/** Where the directory begins, its size, and how many entries it has. */
async function findDirectory(file: RangedFile): Promise<{ start: number; bytes: number; count: number }> {
  const tailStart = Math.max(0, file.size - END_BYTES - MAX_COMMENT_BYTES);
  const tail = new DataView((await file.read(tailStart, file.size)).buffer);
  const at = findEnd(tail);
  if (at === undefined) {
    const other = recognise(await file.read(0, Math.min(file.size, 64)));
    const kind = other?.startsWith("a zip") ? undefined : other;
    throw invalid(
      file.name,
      kind
        ? `is not a zip archive but ${kind}`
        : "has no directory of a zip archive at its end (is it complete?)",
    );
  }
  const disks = tail.getUint32(at + 4, true);
  const [end, { start, bytes, count }] =
    at >= LOCATOR_BYTES && tail.getUint32(at - LOCATOR_BYTES, true) === LOCATOR_SIGNATURE
      ? await readEnd64(file, tailStart + at - LOCATOR_BYTES, u64(tail, at - LOCATOR_BYTES + 8))
      : [
          tailStart + at,
          {
            count: tail.getUint16(at + 10, true),
            bytes: tail.getUint32(at + 12, true),
            start: tail.getUint32(at + 16, true),
          },
        ];
  if (disks !== 0 || start + bytes !== end) {
    throw invalid(
      file.name,
      `has a directory of ${bytes} bytes at byte ${start} that does not end at ${end}`,
    );
  }
  if (bytes > MAX_DIRECTORY_BYTES) {
    throw invalid(
      file.name,
      `has a directory of ${bytes} bytes, more than the ${MAX_DIRECTORY_BYTES} allowed`,
    );
  }
  return { start, bytes, count };
}

/** The last end record whose comment ends with the file. */
function findEnd(tail: DataView): number | undefined {
  for (let at = tail.byteLength - END_BYTES; at >= 0; at--) {
    const comment = tail.byteLength - at - END_BYTES;
    if (tail.getUint32(at, true) === END_SIGNATURE && tail.getUint16(at + 20, true) === comment) return at;
  }
  return undefined;
}

async function readEnd64(file: RangedFile, locator: number, at: number) {
  if (!(at + END64_BYTES <= locator)) throw invalid(file.name, `has no ZIP64 directory at byte ${at}`);
  const record = new DataView((await file.read(at, at + END64_BYTES)).buffer);
  if (record.getUint32(0, true) !== END64_SIGNATURE) {
    throw invalid(file.name, `has no ZIP64 directory at byte ${at}`);
  }
  return [at, { count: u64(record, 32), bytes: u64(record, 40), start: u64(record, 48) }] as const;
}

function parseDirectory(
  bytes: Uint8Array<ArrayBuffer>,
  count: number,
  file: string,
): Omit<ZipEntry, "limit">[] {
  const view = new DataView(bytes.buffer);
  const entries: Omit<ZipEntry, "limit">[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + DIRECTORY_ENTRY_BYTES > bytes.length || view.getUint32(at, true) !== DIRECTORY_SIGNATURE) break;
    const nameEnd = at + DIRECTORY_ENTRY_BYTES + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    const end = extraEnd + view.getUint16(at + 32, true);
    if (end > bytes.length) break;
    const name = new TextDecoder().decode(bytes.subarray(at + DIRECTORY_ENTRY_BYTES, nameEnd));
    const [flags, method] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)];
    const extra = zip64Numbers(new DataView(bytes.buffer, nameEnd, extraEnd - nameEnd));
    const [size, packed, begin] = [24, 20, 42].map((field) => {
      const value = view.getUint32(at + field, true);
      return value === ELSEWHERE ? (extra.shift() ?? Number.NaN) : value;
    }) as [number, number, number];
    if (Number.isNaN(size + packed + begin)) throw invalid(file, `does not say where ${quote(name)} is`);
    if (method !== 0 || packed !== size || (flags & 1) !== 0) {
      throw invalid(
        file,
        `holds ${quote(name)} compressed or encrypted (method ${method}, flags ${flags}); PyTorch stores entries as they are`,
      );
    }
    entries.push({ name, bytes: size, begin });
    at = end;
  }
  if (at !== bytes.length || entries.length !== count) {
    throw invalid(file, `has a damaged directory: ${entries.length} of ${count} entries can be read`);
  }
  return entries;
}

/** The numbers of 8 bytes in the ZIP64 extra field, in the order of the fields that they stand for. */
function zip64Numbers(extra: DataView): number[] {
  for (let at = 0; at + 4 <= extra.byteLength; ) {
    const end = at + 4 + extra.getUint16(at + 2, true);
    if (extra.getUint16(at, true) === ZIP64_FIELD && end <= extra.byteLength) {
      return Array.from({ length: Math.floor((end - at - 4) / 8) }, (_, i) => u64(extra, at + 4 + 8 * i));
    }
    at = end;
  }
  return [];
}

/** Rounded above 2^53, which is beyond the end of any file. */
function u64(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}

function invalid(file: string, problem: string) {
  return fileInvalid("pytorch_invalid", file, problem);
}
