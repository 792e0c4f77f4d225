import { BITS, isBlockDtype } from "../../core/dtypes/quantization.ts";
import { Florence2Error, quote } from "../../core/errors.ts";
import { modelOf, readArguments } from "../options.ts";
import { note, showLoading, showProgress } from "../terminal.ts";
import { writeQuantized } from "./folder.ts";

const HELP = `florence2 quantize MODEL FOLDER --dtype q8|q4 [options]

Writes a model with 8 or 4 bits for each weight of its linear layers and its token table, and everything else as it
is. The folder is loaded as any other; the model then takes up less of the device, and its answers change a little.

  MODEL             a folder, or a repository such as microsoft/Florence-2-base, or base; adapters in it are merged
  FOLDER            the folder to be made
  --dtype NAME      q8 or q4
  --revision NAME   branch, tag or commit of the repository (default: main)
  --help
`;

/** The command `florence2 quantize`; resolves to its exit code. */
export async function quantize(args: string[]): Promise<number> {
  const { values, positionals } = readArguments(args, {
    dtype: { type: "string" },
    revision: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const [source, folder, ...others] = positionals;
  if (source === undefined || folder === undefined || others.length > 0) {
    const message =
      "florence2 quantize takes a model and a folder to be made; see florence2 quantize --help.";
    throw new Florence2Error("option_invalid", message, { found: positionals });
  }
  const { dtype = "", revision } = values;
  if (!isBlockDtype(dtype)) {
    const message = `--dtype is ${quote(dtype)}, expected ${Object.keys(BITS).join(" or ")}`;
    throw new Florence2Error("option_invalid", message, { dtype });
  }
  const bytes = await writeQuantized(modelOf(source), folder, {
    dtype,
    revision,
    onProgress: (event) => event.status === "progress_total" && showLoading(event),
    onWritten: (written, total) => showProgress(`writing ${Math.floor((100 * written) / total)} %`),
  });
  note(`${folder}: weights of ${(bytes / 1e6).toFixed(1)} MB in ${dtype}`);
  return 0;
}
