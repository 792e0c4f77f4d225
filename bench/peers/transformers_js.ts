import { basename, dirname } from "node:path";
import { type Contestant, captionOf, type Question, rulesOf } from "./contestant.ts";
import { loadPeer } from "./onnxruntime.ts";

/** The part of the package that is used here. */
interface TransformersJs {
  readonly env: { allowRemoteModels: boolean; localModelPath: string };
  readonly Tensor: new (
    type: "float32" | "int64",
    data: Float32Array | BigInt64Array,
    dims: readonly number[],
  ) => object;
  readonly Florence2ForConditionalGeneration: {
    from_pretrained(name: string, options: object): Promise<Model>;
  };
}
interface Model {
  generate(inputs: object): Promise<{ readonly data: BigInt64Array }>;
}

/** Transformers.js as its users call it, in Node: ONNX Runtime computes, on the same graphs. */
export async function openTransformersJs(question: Question): Promise<Contestant> {
  const { folder, imageConfig, pixelValues, promptIds, tokens, threads } = question;
  const { config, settings } = await rulesOf(question);
  const { env, Tensor, Florence2ForConditionalGeneration, version } =
    loadPeer<TransformersJs>("@huggingface/transformers");
  env.allowRemoteModels = false;
  env.localModelPath = dirname(folder);
  const model = await Florence2ForConditionalGeneration.from_pretrained(basename(folder), {
    device: "cpu",
    dtype: "fp32",
    subfolder: "",
    session_options: { intraOpNumThreads: threads, logSeverityLevel: 3 },
  });
  const { height, width } = imageConfig;
  const caption = async () => {
    const ids = BigInt64Array.from(promptIds, BigInt);
    // First what the decoder begins with, when the encoder has ended; then each token.
    const marks: number[] = [];
    const streamer = { put: () => void marks.push(performance.now()), end: () => {} };
    const start = performance.now();
    const { data } = await model.generate({
      pixel_values: new Tensor("float32", pixelValues, [1, 3, height, width]),
      input_ids: new Tensor("int64", ids, [1, ids.length]),
      attention_mask: new Tensor("int64", new BigInt64Array(ids.length).fill(1n), [1, ids.length]),
      num_beams: 1,
      do_sample: false,
      min_new_tokens: tokens,
      max_new_tokens: tokens,
      no_repeat_ngram_size: settings.noRepeatNgramSize,
      forced_bos_token_id: settings.forcedBosTokenId,
      forced_eos_token_id: settings.forcedEosTokenId,
      decoder_start_token_id: config.tokens.decoderStart,
      eos_token_id: settings.model.eosTokenId,
      streamer,
    });
    const [seen, first] = marks;
    const found = Array.from(data, Number).slice(1);
    return captionOf(found, 1, [start, seen!, first!, performance.now()]);
  };
  return { version: `transformers.js ${version} on onnxruntime-node`, caption };
}
