import { Florence2Error, isDeviceLost } from "../../core/errors.ts";
import { errorLine } from "../terminal.ts";
import type { Failure, Message, Part, PartContext } from "./part.ts";

/** Seconds before the end at which no item is begun any more. */
const MARGIN = 1;

/** Runs a part; `send` gets what it tells. Items in `settled` are left out: an earlier process has dealt with them. */
export async function perform(
  part: Part,
  options: { readonly device: "gpu" | "cpu"; readonly seconds: number; readonly settled: readonly string[] },
  send: (message: Message) => void,
): Promise<void> {
  const end = performance.now() + 1000 * options.seconds;
  const settled = new Set(options.settled);
  const context: PartContext = {
    device: options.device,
    secondsLeft: () => (end - performance.now()) / 1000,
    tell: (facts) => send({ facts }),
    add: (row) => send({ row }),
    plan: (names) => send({ planned: names }),
    absent: (reason) => send({ absent: reason }),
    async item(name, work) {
      if (settled.has(name)) return;
      if (context.secondsLeft() < MARGIN) {
        send({ left: name });
        return;
      }
      send({ begun: name });
      try {
        await work();
      } catch (error) {
        send({ failure: { item: name, ...failureOf(error) } });
        // Nothing more can be done in this process.
        const isDisposed = error instanceof Florence2Error && error.code === "disposed";
        if (isDisposed || isDeviceLost(error)) throw error;
      } finally {
        send({ settled: name });
      }
    },
  };
  try {
    await part.run(context);
    send({ ended: "done" });
  } catch (error) {
    send({ failure: failureOf(error) });
    send({ ended: "failed" });
  }
}

/** An error as it stands in a report; the stack of what is not expected, since that is a fault of the library. */
function failureOf(error: unknown): Failure {
  if (error instanceof Florence2Error) return { code: error.code, message: error.message };
  return { message: error instanceof Error ? `${error.stack}` : errorLine(error) };
}
