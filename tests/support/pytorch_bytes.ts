/** Builds files of torch.save in memory, right or wrong, byte by byte: the zip archive and the pickle. */

export interface ZipOptions {
  /** Overwrites fields of an entry in the directory: bytes to put at an offset from its beginning. */
  readonly patch?: Readonly<Record<string, readonly [offset: number, bytes: readonly number[]]>>;
  /** Numbers of 8 bytes instead of 4, as in archives above 4 GB. */
  readonly zip64?: boolean;
  /** Of the entries of the directory; right if absent. */
  readonly count?: number;
  /** Place of the directory; right if absent. */
  readonly directoryStart?: number;
  /** Place that the first entry is said to have. */
  readonly base?: number;
}

/** An archive of entries that are stored as they are. */
export function zipBytes(
  entries: readonly (readonly [name: string, content: Uint8Array])[],
  { patch = {}, zip64 = false, count = entries.length, directoryStart, base = 0 }: ZipOptions = {},
): Uint8Array<ArrayBuffer> {
  const local: number[] = [];
  const directory: number[] = [];
  for (const [name, content] of entries) {
    const { header, line } = zipEntry(name, content.length, base + local.length, zip64);
    const [offset, bytes] = patch[name] ?? [0, []];
    line.splice(offset, bytes.length, ...bytes);
    directory.push(...line);
    local.push(...header);
    for (const byte of content) local.push(byte);
  }
  const start = directoryStart ?? base + local.length;
  const end64 = [
    ...[...u32(0x06064b50), ...u64(44), ...u16(45), ...u16(45), ...u32(0), ...u32(0)],
    ...[...u64(count), ...u64(count), ...u64(directory.length), ...u64(start)],
    ...[...u32(0x07064b50), ...u32(0), ...u64(base + local.length + directory.length), ...u32(1)],
  ];
  const end = zip64
    ? [...end64, ...zipEnd(0xffff, 0xffffffff, 0xffffffff)]
    : zipEnd(count, directory.length, start);
  return Uint8Array.from([...local, ...directory, ...end]);
}

/** What stands before an entry of `size` bytes at byte `begin`, and its line in the directory. */
export function zipEntry(
  name: string,
  size: number,
  begin: number,
  zip64 = false,
): { header: number[]; line: number[] } {
  const path = [...new TextEncoder().encode(name)];
  const zeros = (count: number): number[] => new Array(count).fill(0);
  const numbers = [size, size, begin];
  const [bytes, same, place] = (zip64 ? [0xffffffff, 0xffffffff, 0xffffffff] : numbers).map(u32);
  const extra = zip64 ? [...u16(1), ...u16(24), ...numbers.flatMap(u64)] : [];
  const header = [...u32(0x04034b50), ...zeros(22), ...u16(path.length), ...u16(0), ...path];
  const lengths = [...u16(path.length), ...u16(extra.length)];
  const line = [...u32(0x02014b50), ...zeros(16), ...bytes!, ...same!, ...lengths, ...zeros(10), ...place!];
  return { header, line: [...line, ...path, ...extra] };
}

/** The end of an archive: how many entries its directory has, how many bytes, and where it begins. */
export function zipEnd(count: number, bytes: number, start: number): number[] {
  return [
    ...u32(0x06054b50),
    ...u32(0),
    ...u16(count),
    ...u16(count),
    ...u32(bytes),
    ...u32(start),
    ...u16(0),
  ];
}

/** Pieces of a pickle: opcodes as characters, numbers as bytes. */
export function pickleBytes(...pieces: readonly (string | number | readonly number[])[]): Uint8Array {
  const bytes = pieces.flatMap((piece) =>
    typeof piece === "string" ? [...piece].map((letter) => letter.charCodeAt(0)) : piece,
  );
  return Uint8Array.from([0x80, 2, ...bytes, ".".charCodeAt(0)]);
}

export function pickledText(text: string): number[] {
  const bytes = [...new TextEncoder().encode(text)];
  return ["X".charCodeAt(0), ...u32(bytes.length), ...bytes];
}

export function pickledInteger(value: number): number[] {
  const bits = BigInt.asUintN(64, BigInt(value));
  return [0x8a, 8, ...Array.from({ length: 8 }, (_, i) => Number((bits >> BigInt(8 * i)) & 0xffn))];
}

export interface PickledTensor {
  readonly storage?: string;
  readonly key?: string;
  readonly elements?: number;
  readonly offset?: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** A tensor as torch.save pickles it. Four bytes an element, in storage "0", unless said otherwise. */
export function pickledTensor({
  storage = "FloatStorage",
  key = "0",
  elements = 4,
  offset = 0,
  shape,
  strides,
}: PickledTensor): (string | number[])[] {
  const list = (numbers: readonly number[]) => ["(", numbers.flatMap(pickledInteger), "t"];
  return [
    "ctorch._utils\n_rebuild_tensor_v2\n((",
    [...pickledText("storage")],
    `ctorch\n${storage}\n`,
    [...pickledText(key), ...pickledText("cpu"), ...pickledInteger(elements)],
    "tQ",
    pickledInteger(offset),
    ...list(shape),
    ...list(strides),
    "\x89ccollections\nOrderedDict\n)RtR",
  ];
}

/** A file by torch.save with this pickle and one storage of 16 bytes. */
export function pytorchBytes(pickle: Uint8Array, options?: ZipOptions): Uint8Array<ArrayBuffer> {
  const data = Uint8Array.from({ length: 16 }, (_, i) => i);
  return zipBytes(
    [
      ["archive/data.pkl", pickle],
      ["archive/data/0", data],
    ],
    options,
  );
}

function u16(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff];
}

function u32(value: number): number[] {
  return [...u16(value & 0xffff), ...u16(value >>> 16)];
}

function u64(value: number): number[] {
  return [...u32((value % 2 ** 32) >>> 0), ...u32(Math.floor(value / 2 ** 32))];
}
