/** Collects the `size` highest of the keys offered, in descending order; equal keys in the order they came. */
export class Highest {
  readonly keys: Float64Array;
  readonly indices: Uint32Array;
  /** How many were collected, at most `size`. */
  count = 0;
  #lowest = -Infinity;

  constructor(size: number) {
    this.keys = new Float64Array(size);
    this.indices = new Uint32Array(size);
  }

  /** A key of -Infinity is never collected. */
  offer(key: number, index: number): void {
    if (key > this.#lowest) this.#insert(key, index);
  }

  #insert(key: number, index: number): void {
    const { keys, indices } = this;
    if (this.count < keys.length) this.count++;
    let place = this.count - 1;
    for (; place > 0 && keys[place - 1]! < key; place--) {
      keys[place] = keys[place - 1]!;
      indices[place] = indices[place - 1]!;
    }
    keys[place] = key;
    indices[place] = index;
    if (this.count === keys.length) this.#lowest = keys[this.count - 1]!;
  }
}
