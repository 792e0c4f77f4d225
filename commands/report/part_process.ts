/** The process of one part: `part_process PART DEVICE SECONDS [SETTLED ITEM ...]`, PART being the address of its module. */
import type { Part } from "./part.ts";
import { perform } from "./perform.ts";

const [module, device, seconds, ...settled] = process.argv.slice(2) as [string, "gpu" | "cpu", string];
const { default: part } = (await import(module)) as { default: Part };
await perform(part, { device, seconds: Number(seconds), settled }, (message) => process.send!(message));
// Whatever is still open, such as a device that does not answer, ends with the process.
process.disconnect();
process.exit();
