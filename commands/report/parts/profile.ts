import { openRunner } from "../../../core/device.ts";
import { GpuRunner } from "../../../core/gpu/gpu_runner.ts";
import { type ProfileRow, profileModel } from "../../../measure/profile.ts";
import { generatedSubject } from "../../../measure/subjects.ts";
import { figure, milliseconds, percent, text } from "../../../measure/table.ts";
import { Watch } from "../../../measure/watch.ts";
import type { Part } from "../part.ts";
import { table } from "../words.ts";

const COLUMNS = [
  text<ProfileRow>("phase", 28, ({ phase }) => phase),
  text<ProfileRow>("kernel", 28, ({ kernel }) => kernel),
  figure<ProfileRow>("calls", ({ calls }) => String(calls)),
  figure<ProfileRow>("GPU ms", ({ gpuMs }) => milliseconds(gpuMs)),
  figure<ProfileRow>("share", ({ share }) => percent(share)),
];

const part: Part = {
  title: "Where the GPU's time goes in base, in f16",
  weight: 5,
  async run({ device, add, absent }) {
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
  inWords: ({ rows }) => table(COLUMNS, rows as unknown as readonly ProfileRow[]),
};
export default part;
