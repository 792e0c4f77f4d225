import { CpuRunner } from "../../core/cpu/cpu_runner.ts";
import { Recording } from "../../core/recording.ts";
import type { Program, Runner } from "../../core/runner.ts";
import type { Tensor } from "../../core/tensor.ts";
import * as decoding from "../../model/generation/generate.ts";
import type { GenerationSettings } from "../../model/generation/options.ts";
import type { GeneratedSequence } from "../../model/generation/report.ts";
import { Search } from "../../model/generation/search.ts";
import type { DecoderStep } from "./made_up_decoder.ts";

/** One for all searches: memory for each of some thousands would be most of their work. */
const twins = new CpuRunner();

/**
 * As `stream` of the library, with a decoder that is a function: its logits go to the runner, which
 * searches one step at a time.
 */
export async function* stream(
  step: DecoderStep,
  batch: number,
  settings: GenerationSettings,
  runner: Runner = twins,
): ReturnType<typeof decoding.stream> {
  const search = new Search(runner, batch, settings);
  search.reserve(settings.maxNewTokens);
  let logits: Tensor | undefined;
  let program: Program | undefined;
  let tokens = new Uint32Array(search.rows).fill(settings.model.decoderStartTokenId);
  let parents = Uint32Array.from(tokens.keys());
  let position = 0;
  const advance = async () => {
    const found = await step(tokens, parents, position++);
    logits ??= runner.zeros("logits", [search.rows, found.length / search.rows]);
    runner.write(logits, found);
    program ??= await prepare(runner, search, logits);
    await program.run();
    const trace = await search.read(1);
    tokens = Uint32Array.from(trace[0]!, ({ token }) => token);
    parents = Uint32Array.from(trace[0]!, ({ parent }) => parent);
    return trace;
  };
  try {
    return yield* decoding.stream({ advance }, batch, settings);
  } finally {
    program?.dispose();
    search.dispose();
    if (logits) runner.free(logits);
  }
}

function prepare(runner: Runner, search: Search, logits: Tensor): Promise<Program> {
  const rec = new Recording({ profile: runner.profile });
  search.record(rec, logits);
  return runner.prepare(rec);
}

/** As `generate` of the library, with a decoder that is a function. */
export async function generate(
  step: DecoderStep,
  batch: number,
  settings: GenerationSettings,
  runner?: Runner,
): Promise<GeneratedSequence[][]> {
  const steps = stream(step, batch, settings, runner);
  for (;;) {
    const { done, value } = await steps.next();
    if (done) return value;
  }
}
