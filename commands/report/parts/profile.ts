import { openRunner } from "../../../core/device.ts";
import { GpuRunner } from "../../../core/gpu/gpu_runner.ts";
import { CPU_PROFILE_COLUMNS, type CpuProfileRow, profileOnCpu } from "../../../measure/cpu_profile.ts";
import { PROFILE_COLUMNS, type ProfileRow, profileModel } from "../../../measure/profile.ts";
import { generatedSubject } from "../../../measure/subjects.ts";
import { Watch } from "../../../measure/watch.ts";
import type { Part } from "../part.ts";
import { table } from "../words.ts";

const part: Part = {
  title: "Where the time goes in base, in f16",
  weight: 5,
  async run({ device, add, absent }) {
    if (device === "cpu") {
      const onRow = (row: CpuProfileRow) => add({ ...row });
      await profileOnCpu(generatedSubject("base"), {
        dtype: "f16",
        isWanted: () => true,
        onRow,
      });
      return;
    }
    const runner = await openRunner(device);
    try {
      if (!(runner instanceof GpuRunner) || !runner.profile.features.has("timestamps"))
        return absent("the device has no clock to ask");
      const watch = new Watch(runner.device, { eachCall: true });
      const onRow = (row: ProfileRow) => add({ ...row });
      await profileModel(generatedSubject("base"), runner, watch, { dtype: "f16", filter: "", onRow });
    } finally {
      runner.dispose();
    }
  },
  inWords: ({ rows }) =>
    rows.some((row) => "shareOfCopy" in row)
      ? table(CPU_PROFILE_COLUMNS, rows as unknown as readonly CpuProfileRow[])
      : table(PROFILE_COLUMNS, rows as unknown as readonly ProfileRow[]),
};
export default part;
