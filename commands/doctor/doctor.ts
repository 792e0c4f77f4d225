import { Florence2Error } from "../../core/errors.ts";
import { explainDawn } from "../open_model.ts";
import { modelOf, readArguments } from "../options.ts";
import { note, showLoading, showProgress } from "../terminal.ts";
import { type Examination, examine } from "./examine.ts";

const HELP = `florence2 doctor [model] [options]

Says what runs here and whether it runs right: runtime, GPU or CPU engine, cache, and a model, whose kernels on this
device are compared with their twins on the CPU. Ends with 1 if something has to be mended.

  model             a folder, or a repository such as microsoft/Florence-2-base (default: the bundled one)
  --revision NAME   branch, tag or commit of the repository (default: main)
  --json            print everything as JSON
  --help

HF_HUB_OFFLINE=1 uses what was downloaded before.
`;

/** The command `florence2 doctor`; resolves to its exit code. */
export async function doctor(args: string[]): Promise<number> {
  const { values, positionals } = readArguments(args, {
    revision: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const [named, ...others] = positionals;
  const source = modelOf(named);
  if (others.length > 0) {
    const message = `florence2 doctor examines one model at a time, not also ${others.join(", ")}.`;
    throw new Florence2Error("option_invalid", message, { others });
  }
  note(`Examining ${source}; twins compute it, too, which takes a minute.`);
  const examination = await examine(source, { revision: values.revision, onProgress: showLoading });
  showProgress("");
  if (examination.device.products) explainDawn("No GPU taken.");
  process.stdout.write(values.json ? `${JSON.stringify(examination, undefined, 2)}\n` : inWords(examination));
  return examination.findings.some(({ kind }) => kind === "problem") ? 1 : 0;
}

/** An examination for people. */
export function inWords({ version, runtime, device, cache, model, findings }: Examination): string {
  const lines = [row("library", `florence2-webgpu ${version}`), row("runtime", runtime)];
  lines.push(row("device", device.name));
  if (device.features.length > 0) lines.push(row("features", device.features.join(", ")));
  if (device.products) lines.push(row("products", productsInWords(device.products)));
  for (const { name, found, needed } of device.limits)
    lines.push(row("limit", `${name} ${found}${needed === undefined ? "" : ` (at least ${needed})`}`));
  lines.push(row("cache", `${cache.folder}${cache.isOffline ? " (offline)" : ""}`));
  for (const { id, bytes, revisions, unfinished } of cache.repositories) {
    const rest = unfinished > 0 ? `, ${unfinished} downloads unfinished` : "";
    lines.push(row("", `${id} (${revisions.join(", ")}), ${megabytes(bytes)}${rest}`));
  }
  if (model) {
    lines.push(row("model", model.source));
    const weights = `weights under the names of ${model.layout}, stored as ${model.storedAs}, held as ${model.heldAs}`;
    lines.push(row("", `${weights}; ${megabytes(model.peakBytes)} at most`));
    for (const { name, calls, compared, worst } of model.kernels) {
      const agreement = `compared with the twin ${compared}, largest error ${worst.toExponential(0)}`;
      lines.push(row("kernel", `${name}: calls ${calls}, ${agreement}`));
    }
  }
  for (const { kind, what, remedy } of findings)
    lines.push(
      "",
      `${kind === "problem" ? "Problem" : "Remark"}: ${what}`,
      ...(remedy ? [`  ${remedy}`] : []),
    );
  if (!findings.some(({ kind }) => kind === "problem")) lines.push("", "Nothing has to be mended.");
  return `${lines.join("\n")}\n`;
}

/** `f32 94 GFLOP/s, 8 bits 310 GOP/s: dtype "q8" multiplies in 8 bits`. */
function productsInWords(products: NonNullable<Examination["device"]["products"]>): string {
  const { gigaflopsPerSecond, gigaopsPerSecond, usesBytes } = products;
  const f32 = `f32 ${gigaflopsPerSecond.toFixed(0)} GFLOP/s`;
  if (gigaopsPerSecond === 0)
    return `${f32}; those of 8 bits are not exact in this runtime: dtype "q8" uses f32`;
  const used = usesBytes ? "multiplies in 8 bits" : "uses f32, since 8 bits are not 1.25 times as fast";
  return `${f32}, 8 bits ${gigaopsPerSecond.toFixed(0)} GOP/s: dtype "q8" ${used}`;
}

const row = (name: string, text: string) => `${name.padEnd(10)}${text}`;
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
