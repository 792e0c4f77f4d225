/** Lets so many pieces of work run at the same time; others wait for their turn, in their order. */
export class Slots {
  readonly #count: number;
  #free: number;
  readonly #waiting: { readonly slots: number; readonly start: () => void }[] = [];

  constructor(count: number) {
    this.#count = count;
    this.#free = count;
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    return this.#run(work, 1);
  }

  /** Runs work with no other beside it. */
  runAlone<T>(work: () => Promise<T>): Promise<T> {
    return this.#run(work, this.#count);
  }

  async #run<T>(work: () => Promise<T>, slots: number): Promise<T> {
    await new Promise<void>((start) => {
      this.#waiting.push({ slots, start });
      this.#startNext();
    });
    try {
      return await work();
    } finally {
      this.#free += slots;
      this.#startNext();
    }
  }

  #startNext(): void {
    for (let next = this.#waiting[0]; next && next.slots <= this.#free; next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#free -= next.slots;
      next.start();
    }
  }
}
