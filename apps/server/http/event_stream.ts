const PING_MILLISECONDS = 15_000;
const encoder = new TextEncoder();

/**
 * Server-sent events from a generator of their texts. A comment goes out while nothing else does, so that proxies
 * keep the connection; a reader that does not read stops the generator; one that leaves is told to `onLeave`.
 */
export function eventStream(events: AsyncGenerator<string, void, undefined>, onLeave: () => void): Response {
  let pending: Promise<IteratorResult<string, void>> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      pending ??= events.next();
      const silence = new Promise<"silence">((resolve) => {
        timer = setTimeout(() => resolve("silence"), PING_MILLISECONDS);
      });
      const next = await Promise.race([pending, silence]);
      clearTimeout(timer);
      if (next === "silence") return controller.enqueue(encoder.encode(": ping\n\n"));
      pending = undefined;
      if (next.done) controller.close();
      else controller.enqueue(encoder.encode(next.value));
    },
    cancel() {
      clearTimeout(timer);
      onLeave();
      void events.return().catch(() => {});
    },
  });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "x-accel-buffering": "no",
    },
  });
}

/** @example dataEvent({ a: 1 }) // 'data: {"a":1}\n\n' */
export const dataEvent = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;

export const namedEvent = (data: { readonly type: string }): string =>
  `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
