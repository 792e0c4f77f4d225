/** The model of a command, opened with what people should know before its answers. */
import { resolve } from "node:path";
import { isNode } from "../core/platform.ts";
import { Florence2 } from "../model/florence2.ts";
import type { LoadOptions } from "../model/loading/load.ts";
import { BUNDLED_IMAGE, BUNDLED_MODEL, RELEASED } from "./bundled.ts";
import { note, showLoading } from "./terminal.ts";

/** `Florence2.fromPretrained` with its progress and warnings on stderr. */
export async function openModel(source: string, options: LoadOptions): Promise<Florence2> {
  const model = await Florence2.fromPretrained(source, {
    onProgress: showLoading,
    onWarning: note,
    ...options,
  });
  if ((options.device ?? "auto") === "auto" && model.device.kind === "cpu") explainDawn("No GPU found.");
  return model;
}

/** Says whose the warnings are that Node's WebGPU prints. */
export function explainDawn(found: string): void {
  if (isNode) note(`${found} (Lines above that begin with "Warning:" are by Dawn, which looked for one.)`);
}

/**
 * Warns if the bundled model is to answer about images besides its own.
 *
 * @param command the subcommand and its folder; the first such image if there is none
 */
export function warnOfPhotographs(source: string, images: readonly string[], command?: string): void {
  if (source !== BUNDLED_MODEL) return;
  const own = images.find((image) => !isBundled(resolve(image)));
  if (own === undefined) return;
  const program = process.env.npm_lifecycle_event === "start" ? "npm start --" : "florence2";
  note(
    "The bundled model knows only drawn scenes: about a photograph its answers are wrong. For a real answer:",
  );
  note(`  ${program} ${command ?? own} --model base    (downloads ${RELEASED.base.download}, once)`);
}

function isBundled(path: string): boolean {
  return path === BUNDLED_IMAGE || path.startsWith(BUNDLED_MODEL);
}
