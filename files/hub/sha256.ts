/** SHA-256 (FIPS 180-4), piece by piece: what browsers have of it takes a whole file at once. */

const PRIMES = Array.from({ length: 312 }, (_, n) => n).filter(
  (n) => n > 1 && !Array.from({ length: n }, (_, k) => k).some((k) => k > 1 && n % k === 0),
);
/** The first 32 bits behind the point. */
const fraction = (x: number) => Math.floor((x % 1) * 2 ** 32);
/** The 64 words of section 4.2.2. */
const K = Int32Array.from(PRIMES, (prime) => fraction(Math.cbrt(prime)));

const BLOCK = 64;
const rotate = (x: number, by: number) => (x >>> by) | (x << (32 - by));

export class Sha256 {
  /** Section 5.3.3. */
  readonly #hash = Int32Array.from(PRIMES.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));
  readonly #block = new Uint8Array(BLOCK);
  readonly #schedule = new Int32Array(64);
  #bytes = 0;

  update(bytes: Uint8Array): void {
    const at = this.#bytes % BLOCK;
    this.#bytes += bytes.length;
    let done = 0;
    if (at > 0) {
      done = Math.min(BLOCK - at, bytes.length);
      this.#block.set(bytes.subarray(0, done), at);
      if (at + done < BLOCK) return;
      this.#compress(this.#block, 0);
    }
    for (; done + BLOCK <= bytes.length; done += BLOCK) this.#compress(bytes, done);
    this.#block.set(bytes.subarray(done));
  }

  /** The digest in hexadecimal digits; ends the hash. */
  digest(): string {
    const length = new DataView(new ArrayBuffer(8));
    length.setBigUint64(0, 8n * BigInt(this.#bytes));
    const zeros = (2 * BLOCK - 9 - (this.#bytes % BLOCK)) % BLOCK;
    this.update(Uint8Array.of(0x80, ...new Uint8Array(zeros), ...new Uint8Array(length.buffer)));
    return Array.from(this.#hash, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /** Section 6.2.2. */
  #compress(bytes: Uint8Array, start: number): void {
    const W = this.#schedule;
    const H = this.#hash;
    for (let t = 0, i = start; t < 16; t++, i += 4)
      W[t] = (bytes[i]! << 24) | (bytes[i + 1]! << 16) | (bytes[i + 2]! << 8) | bytes[i + 3]!;
    for (let t = 16; t < 64; t++) {
      const x = W[t - 15]!;
      const y = W[t - 2]!;
      const sigma0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3);
      const sigma1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10);
      W[t] = sigma1 + W[t - 7]! + sigma0 + W[t - 16]!;
    }
    let a = H[0]!;
    let b = H[1]!;
    let c = H[2]!;
    let d = H[3]!;
    let e = H[4]!;
    let f = H[5]!;
    let g = H[6]!;
    let h = H[7]!;
    for (let t = 0; t < 64; t++) {
      const choice = (e & f) ^ (~e & g);
      const majority = (a & b) ^ (a & c) ^ (b & c);
      const first = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + choice + K[t]! + W[t]!) | 0;
      const second = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + majority) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + first) | 0;
      d = c;
      c = b;
      b = a;
      a = (first + second) | 0;
    }
    H[0] = H[0]! + a;
    H[1] = H[1]! + b;
    H[2] = H[2]! + c;
    H[3] = H[3]! + d;
    H[4] = H[4]! + e;
    H[5] = H[5]! + f;
    H[6] = H[6]! + g;
    H[7] = H[7]! + h;
  }
}
