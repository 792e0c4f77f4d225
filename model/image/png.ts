/**
 * The same PNG without its transparent level, if it is grey of 16 bits: with one, decoders make 16 bits of alpha of it
 * and then scale the grey, which Pillow clips. Other kinds come as they are.
 */
export function withoutTransparentGrey(png: Uint8Array): Uint8Array {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  // IHDR: 8 bytes of signature, length, name, two sides, then bits and colour type (ISO/IEC 15948, 11.2.2).
  if (png[24] !== 16 || png[25] !== 0) return png;
  for (let at = 8; at + 12 <= png.length; ) {
    const end = at + 12 + view.getUint32(at);
    const name = String.fromCharCode(...png.subarray(at + 4, at + 8));
    if (name === "IDAT") break;
    if (name === "tRNS" && end <= png.length) {
      const cut = new Uint8Array(png.length - (end - at));
      cut.set(png.subarray(0, at));
      cut.set(png.subarray(end), at);
      return cut;
    }
    at = end;
  }
  return png;
}
