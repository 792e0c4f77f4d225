/** Models that the page offers, and the choice that an address or a form makes. */
import type { ModelChoice } from "../engines/protocol.ts";

export interface OfferedModel {
  readonly source: string;
  readonly name: string;
  /** Of the download. */
  readonly size: string;
  readonly about: string;
}

/** The bundled checkpoint: files beside the page. */
export const BUNDLED = new URL("model/", document.baseURI).href;

export const offered: readonly OfferedModel[] = [
  { source: BUNDLED, name: "nano", size: "8 MB", about: "Comes with this page. Knows drawn scenes only." },
  {
    source: "microsoft/Florence-2-base",
    name: "Florence-2-base",
    size: "463 MB",
    about: "0.23 billion parameters, for photographs.",
  },
  {
    source: "microsoft/Florence-2-base-ft",
    name: "Florence-2-base-ft",
    size: "463 MB",
    about: "Fine-tuned on a collection of tasks.",
  },
  {
    source: "microsoft/Florence-2-large",
    name: "Florence-2-large",
    size: "1.5 GB",
    about: "0.77 billion parameters.",
  },
  {
    source: "microsoft/Florence-2-large-ft",
    name: "Florence-2-large-ft",
    size: "1.5 GB",
    about: "Fine-tuned on a collection of tasks.",
  },
];

/** A model's short name. */
export const nameOf = (source: string): string =>
  offered.find((model) => model.source === source)?.name ?? source;

/** Whether a model is the bundled checkpoint, here or on a server. */
export const isNano = (model: string): boolean => model === BUNDLED || /(^|[/-])nano$/.test(model);

const DEVICES = ["auto", "gpu", "cpu"] as const;
const DTYPES = ["auto", "f32", "f16", "q8", "q4"] as const;

const oneOf = <T extends string>(values: readonly T[], given: unknown): T =>
  values.find((value) => value === given) ?? values[0]!;

/** A choice out of fields that anyone may have written; what is none of the known values counts as not said. */
export function choiceOf(fields: Readonly<Record<string, unknown>>): ModelChoice {
  const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
  const [revision, endpoint] = [text(fields.revision), text(fields.endpoint)];
  return {
    source: text(fields.source) ?? BUNDLED,
    device: oneOf(DEVICES, fields.device),
    dtype: oneOf(DTYPES, fields.dtype),
    ...(revision && { revision }),
    ...(endpoint && URL.canParse(endpoint) && { endpoint }),
  };
}
