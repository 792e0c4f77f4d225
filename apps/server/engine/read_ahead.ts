/**
 * Reads a source to its end at its own pace and buffers the rest: a reader that is slow, or does not
 * read at all, holds up nothing behind the source.
 */
export async function* readAhead<T>(source: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  const parts: T[] = [];
  let failure: { readonly error: unknown } | undefined;
  let isOver = false;
  let wake = () => {};
  const read = async () => {
    try {
      for await (const part of source) {
        parts.push(part);
        wake();
      }
    } catch (error) {
      failure = { error };
    }
    isOver = true;
    wake();
  };
  void read();
  for (;;) {
    while (parts.length > 0) yield parts.shift()!;
    if (failure) throw failure.error;
    if (isOver) return;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}
