import { randomUUID } from "node:crypto";

/** The header by which a client of the protocols up to 2025-11-25 names its session. */
export const SESSION_HEADER = "mcp-session-id";

/**
 * Calls in flight of clients that cancel by a message of its own (protocols up to 2025-11-25): their ids are unique
 * in a session only. Nothing else is kept of a session, so it outlives a restart of the server.
 */
export class SessionCalls {
  readonly #calls = new Map<string, AbortController>();

  /** @example SessionCalls.newSession() // "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed" */
  static newSession(): string {
    return randomUUID();
  }

  get size(): number {
    return this.#calls.size;
  }

  /**
   * The signal of a call's cancellation, and how to forget the call.
   *
   * @param session the client's session, with the name of its key: other keys must not reach it
   */
  open(session: string, id: string | number): { readonly signal: AbortSignal; close(): void } {
    const name = nameOf(session, id);
    const controller = new AbortController();
    this.#calls.set(name, controller);
    const close = () => {
      if (this.#calls.get(name) === controller) this.#calls.delete(name);
    };
    return { signal: controller.signal, close };
  }

  /** Ends a call; of a call that is over or was never there, nothing is told. */
  cancel(session: string, id: string | number): void {
    this.#calls.get(nameOf(session, id))?.abort();
  }
}

/** The ids 1 and "1" differ. */
const nameOf = (session: string, id: string | number) => JSON.stringify([session, id]);
