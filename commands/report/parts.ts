import type { Part } from "./part.ts";
import answers from "./parts/answers.ts";
import callsBase from "./parts/calls_base.ts";
import callsLarge from "./parts/calls_large.ts";
import ceilings from "./parts/ceilings.ts";
import device from "./parts/device.ts";
import kernels from "./parts/kernels.ts";
import peers from "./parts/peers.ts";
import phasesF16 from "./parts/phases_f16.ts";
import phasesF32 from "./parts/phases_f32.ts";
import profile from "./parts/profile.ts";
import stagesBase from "./parts/stages_base.ts";
import stagesTiny from "./parts/stages_tiny.ts";

/** All parts by the name of their file, what matters most first. */
export const PARTS: Readonly<Record<string, Part>> = {
  device,
  kernels,
  answers,
  stages_tiny: stagesTiny,
  stages_base: stagesBase,
  ceilings,
  phases_f16: phasesF16,
  calls_base: callsBase,
  peers,
  profile,
  phases_f32: phasesF32,
  calls_large: callsLarge,
};
