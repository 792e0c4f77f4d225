/**
 * Types told apart by their tag. `instanceof` fails for values of another realm: another window of a page, a context
 * of node:vm, the environment of a test runner.
 */
const tagOf = (value: unknown) => Object.prototype.toString.call(value);

export const isBlob = (value: unknown): value is Blob => /^\[object (Blob|File)\]$/.test(tagOf(value));

export const isUrlObject = (value: unknown): value is URL => tagOf(value) === "[object URL]";

export const isMap = (value: unknown): value is ReadonlyMap<unknown, unknown> =>
  tagOf(value) === "[object Map]";

export const isArrayBuffer = (value: unknown): value is ArrayBuffer =>
  tagOf(value) === "[object ArrayBuffer]";

/** Uint8Array, and Node's Buffer, which is one. */
export const isUint8Array = (value: unknown): value is Uint8Array =>
  ArrayBuffer.isView(value) && tagOf(value) === "[object Uint8Array]";
