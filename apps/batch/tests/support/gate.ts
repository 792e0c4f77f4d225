import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newFolder } from "./runs.ts";
import { until } from "./workers.ts";

/** A place at which made-up models wait, in an image or at a text "gate...": faults come then, however fast a machine is. */
export interface Gate {
  /** For the environment of workers. */
  readonly env: { readonly FAKE_GATE: string };
  /** Resolves when a worker is there. */
  reached(): Promise<void>;
  open(): void;
}

/** Makes an image of a folder a gate. */
export function gateAt(image: string): Gate {
  writeFileSync(image, "gate");
  return newGate();
}

export function newGate(): Gate {
  const gate = join(newFolder(), "gate");
  return {
    env: { FAKE_GATE: gate },
    reached: () => until(() => existsSync(`${gate}.reached`)),
    open: () => writeFileSync(`${gate}.open`, ""),
  };
}
