/** The places of a model's parts: its own folder, a tokenizer from elsewhere, an adapter and its base. */
import { Florence2Error, quote } from "../../core/errors.ts";
import { type Files, filesInFolder, isRelativeName, isUrl, type Source } from "../../files/files.ts";
import { isJsonObject, type JsonValue } from "../../files/json.ts";
import { type OpenModelOptions, openModelFiles } from "../../files/open_model_files.ts";
import { ADAPTER_CONFIG, ADAPTER_FILES } from "../weights/adapter_file.ts";
import { WEIGHT_FILES } from "../weights/open_checkpoint.ts";

export interface SourceOptions extends OpenModelOptions {
  /** Where the tokenizer is, if not in the model's folder: any source, such as `microsoft/Florence-2-base`. */
  readonly tokenizer?: Source | undefined;
  /** The folder of the model within the source, such as `icon_caption`. */
  readonly subfolder?: string | undefined;
  /** A LoRA adapter by peft that is merged into the weights: any source. Default: one in the model's folder. */
  readonly adapter?: Source | undefined;
}

export interface ModelSources {
  /** Generation settings and weights. */
  readonly model: Files;
  /** config.json. */
  readonly config: JsonValue;
  readonly tokenizer: Files;
  /** Where the files that say how images are prepared may be; the first that has one counts. */
  readonly processor: readonly Files[];
  /** Absent where there is none beside the model's own. */
  readonly adapter: Files | undefined;
}

/**
 * Finds the parts of a model. If the source is an adapter alone, the base is the folder `base` within it, or else the
 * model that its adapter_config.json names.
 *
 * @throws {Florence2Error} option_invalid for a subfolder that leads out of the source; file_not_found where an
 *   adapter stands alone and names no base that can be opened
 */
export async function findSources(source: Source, options: SourceOptions = {}): Promise<ModelSources> {
  const { tokenizer, subfolder, adapter, ...open } = options;
  if (subfolder !== undefined && !isRelativeName(subfolder)) {
    throw new Florence2Error(
      "option_invalid",
      `subfolder is ${quote(subfolder)}; allowed is the relative name of a folder, such as "icon_caption".`,
      { option: "subfolder", found: subfolder },
    );
  }
  const place = (name: string) => (subfolder === undefined ? name : `${subfolder}/${name}`);
  const whole = await openModelFiles(source, [[place("config.json")], WEIGHT_FILES.map(place)], open);
  const own = subfolder === undefined ? whole : filesInFolder(whole, subfolder);
  const elsewhere = { ...open, revision: undefined };
  const separate =
    adapter === undefined ? undefined : await openModelFiles(adapter, [ADAPTER_FILES], elsewhere);
  const config = await own.optionalJson("config.json");
  const standsAlone = config === undefined && separate === undefined && (await own.has(ADAPTER_CONFIG));
  const model = standsAlone ? await baseOf(own, elsewhere) : own;
  const adapterFiles = separate ?? (standsAlone ? own : undefined);
  return {
    model,
    config: config ?? (await model.json("config.json")),
    tokenizer:
      tokenizer === undefined
        ? await tokenizerBeside(model, adapterFiles)
        : await openModelFiles(tokenizer, [["tokenizer.json"]], elsewhere),
    processor: adapterFiles ? [adapterFiles, model] : [model],
    adapter: adapterFiles,
  };
}

/** The model that an adapter changes, by what it says itself. */
async function baseOf(adapter: Files, options: OpenModelOptions): Promise<Files> {
  if (await adapter.has("base/config.json")) return filesInFolder(adapter, "base");
  const config = await adapter.json(ADAPTER_CONFIG);
  const { base_model_name_or_path: base, revision } = isJsonObject(config) ? config : {};
  const remedy = "Give the base model as the source, and this folder as the option adapter.";
  if (typeof base !== "string" || base === "" || isUrl(base)) {
    const message = `The source is an adapter, and ${ADAPTER_CONFIG} names no base model: base_model_name_or_path is ${quote(base)}. ${remedy}`;
    throw new Florence2Error("file_not_found", message, { file: ADAPTER_CONFIG, found: base });
  }
  const at = typeof revision === "string" && revision !== "" ? { ...options, revision } : options;
  try {
    return await openModelFiles(base, [["config.json"], WEIGHT_FILES], at);
  } catch (error) {
    if (!(error instanceof Florence2Error)) throw error;
    const message = `The source is an adapter of ${quote(base)}, which cannot be opened: ${error.message} ${remedy}`;
    throw new Florence2Error(error.code, message, { ...error.details, base }, error);
  }
}

/** Training saves the tokenizer beside the adapter, perhaps with more tokens than the base's. */
async function tokenizerBeside(model: Files, adapter: Files | undefined): Promise<Files> {
  for (const name of ["tokenizer.json", "vocab.json"]) if (await adapter?.has(name)) return adapter!;
  return withRemedy(model);
}

/** A folder without a tokenizer, whose error says what to do about it. */
function withRemedy(files: Files): Files {
  const explained = (error: unknown): never => {
    if (!(error instanceof Florence2Error) || error.code !== "file_not_found") throw error;
    const message = `${error.message} Models that were published without their tokenizer take that of Florence-2: pass the option tokenizer, such as "microsoft/Florence-2-base".`;
    throw new Florence2Error(error.code, message, error.details, error);
  };
  return { ...files, text: (name) => files.text(name).catch(explained) };
}
