// GPT-2's byte alphabet: every byte has one printable character, so that a vocabulary of byte strings can
// be written as JSON. Bytes that print (33-126, 161-172, 174-255) stand for themselves; the other 68 take
// U+0100, U+0101, ... in increasing order (space becomes Ġ, line feed Ċ).

const prints = (byte: number) =>
  (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);

/** The character of every byte, 256 in all. */
export const byteCharacters: readonly string[] = (() => {
  let substitute = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(prints(byte) ? byte : substitute++));
})();

const byteOfCharacter = new Map(byteCharacters.map((character, byte) => [character, byte]));

/**
 * The bytes of a token of the vocabulary. A token with a character outside the alphabet (only an added token
 * can have one) contributes its own UTF-8 bytes, as in the ByteLevel decoder of tokenizers.
 *
 *     tokenBytes("Ġthe")  // the bytes of " the"
 */
export function tokenBytes(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfCharacter.get(token.charAt(i));
    if (byte === undefined) return new TextEncoder().encode(token);
    bytes[i] = byte;
  }
  return bytes;
}
