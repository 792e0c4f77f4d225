import type { Runner } from "../../core/runner.ts";
import type { Tensor } from "../../core/tensor.ts";
import { LOCATIONS } from "../../kernels/shared/locations.ts";
import { withValues } from "../../measure/generated/parity_weights.ts";
import type { Subject } from "../../measure/subjects.ts";
import { median } from "../../measure/timing.ts";
import { DecodingSession, FIRST_STEPS, STEPS_PER_SUBMIT } from "../../model/decoding_session.ts";
import { settingsFor } from "../../model/generation/options.ts";
import { LOGITS_BIAS } from "../../model/weights/expected_tensors.ts";
import { loadWeights } from "../../model/weights/load_weights.ts";
import type { WeightsDtype } from "../../model/weights/loader.ts";

/** A step of one search, with the masses of locations and without them. */
export interface CostRow {
  readonly search: string;
  readonly withMs: number;
  readonly withoutMs: number;
  /** Median over pairs of runs side by side of the time with masses over that without, less 1. */
  readonly cost: number;
  /** Of the tokens in the timed steps, those that are locations: others cost less. */
  readonly locations: number;
  readonly pairs: number;
}

export interface CostOptions {
  readonly dtype: WeightsDtype;
  /** Pairs of submissions that are timed. */
  readonly pairs: number;
}

const SEARCHES = { greedy: 1, "3 beams": 3 } as const;
/** Submissions before the sessions begin anew. */
const SUBMITS = 6;
const IMAGE_TOKENS = 577;
/** Added to the scores of locations, so that answers have no other tokens: these cost most. */
const PREFERENCE = 1000;

/**
 * Times decoding steps with `location_mass` and without it, a submission of the one after a submission of the other, on
 * a model with generated weights that answers in locations alone.
 */
export async function* costOfConfidence(
  subject: Subject,
  runner: Runner,
  { dtype, pairs }: CostOptions,
): AsyncGenerator<CostRow> {
  const { config, tokenizer, checkpoint } = await subject.open();
  const first = tokenizer.locationToken(0)!;
  const inLocations = withValues(checkpoint, (name, values) =>
    name === LOGITS_BIAS ? values.fill(PREFERENCE, first, first + LOCATIONS) : values,
  );
  const weights = await loadWeights(inLocations, config, runner, { dtype });
  await checkpoint.close();
  const image = imageTokens(runner, config.text.dModel);
  const promptIds = tokenizer.encode("What does the image describe?");
  const open = (numBeams: number, locationId: number | undefined) => {
    const length = FIRST_STEPS + SUBMITS * STEPS_PER_SUBMIT;
    const settings = settingsFor(
      config,
      { numBeams, minNewTokens: length, maxNewTokens: length },
      locationId,
    );
    return DecodingSession.open(runner, weights.text, config.text, [{ image, promptIds }], settings);
  };
  for (const [search, numBeams] of Object.entries(SEARCHES)) {
    const times: [on: number, off: number][] = [];
    let [tokens, locations] = [0, 0];
    while (times.length < pairs) {
      const sessions = [await open(numBeams, first), await open(numBeams, undefined)] as const;
      for (const session of sessions) await session.advance();
      // The first submission after that may compile.
      for (let submit = 0; submit < SUBMITS; submit++) {
        const spent = [0, 0];
        for (const i of submit % 2 === 0 ? [0, 1] : [1, 0]) {
          const started = performance.now();
          const steps = await sessions[i]!.advance();
          spent[i] = (performance.now() - started) / steps.length;
          if (i > 0) continue;
          const chosen = steps.flat().map(({ token }) => token);
          tokens += chosen.length;
          locations += chosen.filter((token) => token >= first && token < first + LOCATIONS).length;
        }
        if (submit > 0) times.push([spent[0]!, spent[1]!]);
      }
      for (const session of sessions) session.dispose();
    }
    yield {
      search,
      withMs: median(times.map(([on]) => on)),
      withoutMs: median(times.map(([, off]) => off)),
      cost: median(times.map(([on, off]) => on / off)) - 1,
      locations: locations / tokens,
      pairs: times.length,
    };
  }
}

/** Made-up image tokens: the time of a step does not depend on them. */
function imageTokens(runner: Runner, width: number): Tensor {
  const values = Float32Array.from({ length: IMAGE_TOKENS * width }, (_, i) => Math.sin(i));
  return runner.upload("image tokens", [IMAGE_TOKENS, width], values);
}
