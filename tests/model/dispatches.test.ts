/** How many kernel calls the base model takes: on a large GPU each costs more than most of the arithmetic in it. */
import { describe, expect, it } from "vitest";
import { PORTABLE_PROFILE, type Recording } from "../../core/recording.ts";
import type { JsonValue } from "../../files/json.ts";
import { parseConfig } from "../../model/config/config.ts";
import { settingsFor } from "../../model/generation/options.ts";
import { firstRecordings } from "../../model/loading/compile_ahead.ts";
import { emptyCheckpoint } from "../support/empty_checkpoint.ts";
import { modelFixture } from "../support/parity_model.ts";

const SIDE = 768;
/** Token of <loc_0> in the released models. */
const FIRST_LOCATION = 50_269;
/** Kernels of the search, which follow those of the model in a step. */
const SEARCH = new Set(["log_sum_exp", "rank_tokens", "sampling_filter", "search_step", "location_mass"]);

describe("dispatches of the base model on any device", () => {
  const config = parseConfig(modelFixture<JsonValue>("base.config.json"));
  const imageConfig = {
    width: SIDE,
    height: SIDE,
    rescaleFactor: 1,
    mean: [0, 0, 0],
    std: [1, 1, 1],
  } as const;
  const recordings = (numBeams: number) =>
    firstRecordings(
      { checkpoint: emptyCheckpoint(config), config, imageConfig, dtype: "auto" },
      PORTABLE_PROFILE,
      settingsFor(config, { numBeams }, FIRST_LOCATION),
    );
  const byKernel = (dispatches: Recording["dispatches"]) => {
    const counts: Record<string, number> = {};
    for (const { kernel } of dispatches) counts[kernel.name] = (counts[kernel.name] ?? 0) + 1;
    return counts;
  };

  it("are at most 210 from pixels to the keys and values of cross-attention", async () => {
    const [vision, encoding] = await recordings(3);
    const dispatches = [...vision.dispatches, ...encoding.dispatches];
    console.log(`${dispatches.length} dispatches from pixels to cross keys and values`, byKernel(dispatches));
    expect(dispatches.length).toBeLessThanOrEqual(210);
  });

  it.each([1, 3])(
    "are at most 51 a decoding step with %i beams, of which 5 select tokens and weigh them",
    async (beams) => {
      const [, , { dispatches }] = await recordings(beams);
      console.log(`${dispatches.length} dispatches a decoding step, ${beams} beams`, byKernel(dispatches));
      expect(dispatches.length).toBeLessThanOrEqual(51);
      expect(dispatches.filter(({ kernel }) => SEARCH.has(kernel.name)).length).toBeLessThanOrEqual(5);
    },
  );
});
