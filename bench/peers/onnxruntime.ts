import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { Florence2Error } from "../../core/errors.ts";
import { type GenerationSettings, listOf } from "../../model/generation/options.ts";
import { type Contestant, captionOf, type Question, rulesOf } from "./contestant.ts";

/** Where scripts/run.mjs installs the peers: 600 MB that only this bench needs. */
export const PACKAGES = resolve(".cache/peers");

/** The package with each execution provider. */
const PACKAGE_OF = {
  webgpu: "onnxruntime-node",
  cpu: "onnxruntime-node",
  wasm: "onnxruntime-web",
} as const;
type Provider = keyof typeof PACKAGE_OF;

interface OrtTensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
  readonly location: string;
  dispose(): void;
}
interface OrtSession {
  run(feeds: Tensors): Promise<Tensors>;
}
type Tensors = Readonly<Record<string, OrtTensor>>;

/** The part of the package that is used here. */
interface OnnxRuntime {
  readonly env: { readonly wasm: { numThreads?: number } };
  readonly Tensor: new (
    type: "float32" | "int64" | "bool",
    data: Float32Array | BigInt64Array | readonly boolean[],
    dims: readonly number[],
  ) => OrtTensor;
  readonly InferenceSession: {
    create(
      graph: string | Uint8Array,
      options: {
        readonly executionProviders: readonly Provider[];
        readonly preferredOutputLocation?: Readonly<Record<string, "gpu-buffer">>;
        readonly intraOpNumThreads?: number;
        readonly logSeverityLevel?: number;
      },
    ): Promise<OrtSession>;
  };
}

/** @throws {Florence2Error} `dependency_missing` if it is not installed in that folder */
export const loadOnnxRuntime = (provider: Provider, folder = PACKAGES) =>
  loadPeer<OnnxRuntime>(PACKAGE_OF[provider], folder);

/**
 * A package that only this bench needs, with its version.
 *
 * @throws {Florence2Error} `dependency_missing` if it is not installed in that folder
 */
export function loadPeer<Package>(name: string, folder = PACKAGES): Package & { readonly version: string } {
  try {
    const require = createRequire(join(folder, "package.json"));
    const { version } = JSON.parse(
      readFileSync(join(folder, "node_modules", name, "package.json"), "utf8"),
    ) as { version: string };
    return { ...(require(name) as Package), version };
  } catch (cause) {
    throw new Florence2Error(
      "dependency_missing",
      `${name} can't be loaded from ${folder}: ${(cause as Error).message}\nnpm run bench:peers installs it there; by hand: npm install --prefix ${folder} --ignore-scripts ${name}`,
      { folder },
      cause,
    );
  }
}

/** Names of the decoder's keys and values, of the tokens and of the encoder's output. */
function cacheNames(layers: number): { readonly own: string[]; readonly cross: string[] } {
  const names = (part: string) =>
    Array.from({ length: layers }, (_, i) => [`${i}.${part}.key`, `${i}.${part}.value`]).flat();
  return { own: names("decoder"), cross: names("encoder") };
}

/**
 * ONNX Runtime, driven as transformers.js drives it: four sessions, tokens embedded by one of them in each step,
 * image and prompt joined on the host, logits read back and searched there, keys and values left on the GPU and
 * passed from step to step, the encoder's output passed in each step.
 */
export async function openOnnxRuntime(provider: Provider, question: Question): Promise<Contestant> {
  const { folder, imageConfig, pixelValues, threads } = question;
  const { config, settings } = await rulesOf(question);
  const { Tensor, InferenceSession, env, version } = loadOnnxRuntime(provider);
  env.wasm.numThreads = threads;
  const { decoderLayers, decoderAttentionHeads, dModel } = config.text;
  const { own, cross } = cacheNames(decoderLayers);
  const open = async (name: string, pinned: readonly string[] = []) => {
    const path = join(folder, `${name}.onnx`);
    return InferenceSession.create(provider === "wasm" ? await readFile(path) : path, {
      executionProviders: [provider],
      intraOpNumThreads: threads,
      logSeverityLevel: 3,
      ...(provider === "webgpu" && {
        preferredOutputLocation: Object.fromEntries(pinned.map((output) => [output, "gpu-buffer" as const])),
      }),
    });
  };
  const presents = [...own, ...cross].map((name) => `present.${name}`);
  const [vision, embed, encoder, decoder] = await Promise.all([
    open("vision_encoder"),
    open("embed_tokens"),
    open("encoder_model"),
    open("decoder_model_merged", presents),
  ]);

  const embedded = async (ids: readonly number[]) => {
    const input_ids = new Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]);
    return (await embed.run({ input_ids })).inputs_embeds!;
  };
  const caption = async () => {
    const start = performance.now();
    const { height, width } = imageConfig;
    const pixels = new Tensor("float32", pixelValues, [1, 3, height, width]);
    const { image_features } = await vision.run({ pixel_values: pixels });
    const prompt = await embedded(question.promptIds);
    const source = new Float32Array(image_features!.data.length + prompt.data.length);
    source.set(image_features!.data);
    source.set(prompt.data, image_features!.data.length);
    const inputs_embeds = new Tensor("float32", source, [1, source.length / dModel, dModel]);
    const encoder_hidden_states = (await encoder.run({ inputs_embeds })).last_hidden_state!;
    const seen = performance.now();

    let first = seen;
    const nothing = new Tensor("float32", new Float32Array(0), [
      1,
      decoderAttentionHeads,
      0,
      dModel / decoderAttentionHeads,
    ]);
    const past: Record<string, OrtTensor> = Object.fromEntries(
      [...own, ...cross].map((name) => [`past_key_values.${name}`, nothing]),
    );
    const answer = [settings.model.decoderStartTokenId];
    while (answer.length <= question.tokens) {
      const isFirst = answer.length === 1;
      const output = await decoder.run({
        inputs_embeds: await embedded(answer.slice(-1)),
        encoder_hidden_states,
        use_cache_branch: new Tensor("bool", [!isFirst], [1]),
        ...past,
      });
      answer.push(likeliest(output.logits!.data, answer, settings));
      for (const name of own) replace(past, name, output);
      if (isFirst) for (const name of cross) replace(past, name, output);
      if (isFirst) first = performance.now();
    }
    const end = performance.now();
    for (const tensor of Object.values(past)) release(tensor);
    return captionOf(answer.slice(1), 1, [start, seen, first, end]);
  };
  return { version: `${PACKAGE_OF[provider]} ${version}`, caption };
}

function replace(past: Record<string, OrtTensor>, name: string, output: Tensors): void {
  release(past[`past_key_values.${name}`]!);
  past[`past_key_values.${name}`] = output[`present.${name}`]!;
}

function release(tensor: OrtTensor): void {
  if (tensor.location === "gpu-buffer") tensor.dispose();
}

/** The next token of a greedy search, by the rules that Florence-2 decodes with. */
export function likeliest(
  logits: Float32Array,
  answer: readonly number[],
  {
    forcedBosTokenId,
    forcedEosTokenId,
    minNewTokens,
    maxNewTokens,
    noRepeatNgramSize: n,
    model,
  }: GenerationSettings,
): number {
  if (answer.length === 1 && forcedBosTokenId !== null) return forcedBosTokenId;
  if (answer.length === maxNewTokens && forcedEosTokenId !== null)
    return Math.min(...listOf(forcedEosTokenId));
  const banned = new Set(answer.length <= minNewTokens ? listOf(model.eosTokenId) : []);
  if (n > 0) {
    const tail = answer.slice(answer.length - n + 1).join();
    for (let i = 0; i + n <= answer.length; i++)
      if (answer.slice(i, i + n - 1).join() === tail) banned.add(answer[i + n - 1]!);
  }
  let best = -1;
  for (let token = 0; token < logits.length; token++)
    if (!banned.has(token) && (best < 0 || logits[token]! > logits[best]!)) best = token;
  return best;
}
