/** The process of one part: `part_process PART DEVICE SECONDS [SETTLED ITEM ...]`, PART being the address of its module. */
import type { Message, Part } from "./part.ts";
import { perform } from "./perform.ts";

const [module, device, seconds, ...settled] = process.argv.slice(2) as [string, "gpu" | "cpu", string];
// Nobody waits for the results any more.
process.on("disconnect", () => process.exit(1));
const { default: part } = (await import(module)) as { default: Part };
let sent = Promise.resolve();
const send = (message: Message) => {
  sent = new Promise((resolve) => process.send!(message, () => resolve()));
};
await perform(part, { device, seconds: Number(seconds), settled }, send);
await sent;
// The process ends with everything that is still open, such as a device that does not answer.
process.exit();
