/** One piece of work at a time, in their order: a device has one model. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** @throws the signal's reason if it aborts before the turn comes */
  take<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => {
      signal.throwIfAborted();
      return work();
    });
    this.#last = turn.catch(() => {});
    return turn;
  }
}
