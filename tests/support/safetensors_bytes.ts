/** Builds safetensors files in memory, right or wrong, byte by byte. */

export interface TensorBytes {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A valid file with the tensors in the given order. */
export function safetensorsBytes(
  tensors: Readonly<Record<string, TensorBytes>>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {};
  let end = 0;
  for (const [name, { dtype, shape, bytes }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [end, end + bytes.length] };
    end += bytes.length;
  }
  const data = new Uint8Array(end);
  let at = 0;
  for (const { bytes } of Object.values(tensors)) {
    data.set(bytes, at);
    at += bytes.length;
  }
  return withHeader(JSON.stringify(header), data);
}

/** A file with any header: its text or bytes, and any data or number of zero bytes after it. */
export function withHeader(
  header: string | Uint8Array,
  data: Uint8Array | number = 0,
  claimedLength?: bigint,
): Uint8Array<ArrayBuffer> {
  const headerBytes = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const dataBytes = typeof data === "number" ? new Uint8Array(data) : data;
  const file = new Uint8Array(8 + headerBytes.length + dataBytes.length);
  new DataView(file.buffer).setBigUint64(0, claimedLength ?? BigInt(headerBytes.length), true);
  file.set(headerBytes, 8);
  file.set(dataBytes, 8 + headerBytes.length);
  return file;
}

/** One entry of a header, as text. Four-byte elements unless said otherwise. */
export function entry(name: string, shape: string, offsets: string, dtype = '"F32"'): string {
  return `${JSON.stringify(name)}:{"dtype":${dtype},"shape":${shape},"data_offsets":${offsets}}`;
}

/** Values in float32, as a file has them. */
export const floats = (...values: number[]) => new Uint8Array(new Float32Array(values).buffer);
/** A text of one byte a character. */
export const text = (value: string) => Uint8Array.from(value, (character) => character.charCodeAt(0));
