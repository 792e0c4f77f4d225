/** The names of every option, so that a mistyped one is an error and not silently ignored. */
import { Florence2Error, quote } from "../core/errors.ts";
import { nearestName } from "../core/names.ts";
import type { LoadImageOptions } from "./image/load.ts";
import type { EncodeOptions } from "./image/preprocess.ts";
import type { LoadOptions } from "./loading/load.ts";
import type { BatchOptions, Inputs, RunOptions, SharedOptions } from "./questions.ts";

/** An object with every name of an options type; the compiler reports a missing or surplus one. */
type Names<Options> = Readonly<Record<keyof Options, true>>;

const image: Names<LoadImageOptions> = { maxPixels: true, maxBytes: true, background: true, signal: true };

const encode: Names<EncodeOptions> = { ...image, imageSize: true };

const inputs: Names<Inputs> = { text: true, region: true };

const shared: Names<SharedOptions> = {
  ...{ numBeams: true, doSample: true, temperature: true, topK: true, topP: true, seed: true },
  ...{ noRepeatNgramSize: true, repetitionPenalty: true, forcedBosTokenId: true, forcedEosTokenId: true },
  ...{ earlyStopping: true, lengthPenalty: true, maxNewTokens: true, minNewTokens: true },
  ...{ numReturnSequences: true, signal: true, onStep: true },
  ...{
    coordinates: true,
    labels: true,
    scores: true,
    maxPixels: true,
    maxBytes: true,
    imageSize: true,
    background: true,
  },
};

const batch: Names<BatchOptions> = { ...shared, onError: true, onResult: true };

const run: Names<RunOptions> = { ...inputs, ...shared };

const load: Names<LoadOptions> = {
  ...{ device: true, threads: true, dtype: true, revision: true, token: true, endpoint: true },
  ...{ tokenizer: true, subfolder: true, adapter: true, imageSize: true, fetch: true },
  ...{ onProgress: true, onWarning: true, signal: true },
};

const CALLS = {
  run,
  stream: run,
  runBatch: batch,
  encodeImage: encode,
  loadImage: image,
  fromPretrained: load,
} as const;

/** Other libraries' names for options of ours. */
const FOREIGN_NAMES: Readonly<Record<string, string>> = {
  maxLength: "maxNewTokens",
  maxTokens: "maxNewTokens",
  minLength: "minNewTokens",
  torchDtype: "dtype",
  deviceMap: "device",
  progressCallback: "onProgress",
  callbackFunction: "onStep",
  callback: "onStep",
  abortSignal: "signal",
  prompt: "text",
  box: "region",
  bbox: "region",
  n: "numReturnSequences",
};

/**
 * Refuses options that a call does not have; one that is undefined is as good as left out.
 *
 * @throws {Florence2Error} `option_invalid` with the name that was probably meant
 */
export function expectOptions(call: keyof typeof CALLS, options: object): void {
  if (typeof options !== "object" || options === null) {
    throw new Florence2Error(
      "option_invalid",
      `the options of ${call} are ${quote(options)}, expected an object`,
    );
  }
  const known = Object.keys(CALLS[call]);
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || known.includes(name)) continue;
    const remedy = remedyFor(name, call, known);
    throw new Florence2Error("option_invalid", `${call} has no option ${quote(name)}: ${remedy}`, {
      option: name,
      allowed: known,
    });
  }
}

function remedyFor(name: string, call: string, known: readonly string[]): string {
  const camel = name.replace(/_+([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const wanted = new Map(Object.entries(FOREIGN_NAMES)).get(camel) ?? camel;
  const meant = [wanted, nearestName(name, known)].find((own) => own && known.includes(own));
  if (meant) return `did you mean ${meant}?`;
  const others = Object.entries(CALLS).filter(([other]) => other !== call);
  const elsewhere = others.flatMap(([, names]) => Object.keys(names));
  const foreign = elsewhere.includes(wanted) ? wanted : nearestName(name, elsewhere);
  if (foreign) {
    const owners = others.filter(([, names]) => Object.hasOwn(names, foreign)).map(([other]) => other);
    return `${foreign} is an option of ${owners.join(", ")}`;
  }
  return `its options are ${known.join(", ")}`;
}

/** Those of a call's options that reading an image takes. */
export function imageOptions(options: EncodeOptions): EncodeOptions {
  return Object.fromEntries(Object.entries(options).filter(([name]) => Object.hasOwn(encode, name)));
}
