import { openRunner } from "../../../core/device.ts";
import { GpuRunner } from "../../../core/gpu/gpu_runner.ts";
import { runtime } from "../../doctor/examine.ts";
import type { Part } from "../part.ts";
import { list } from "../words.ts";

const INFO = ["vendor", "architecture", "device", "description", "isFallbackAdapter"] as const;

/** What Dawn tells beyond the standard. */
interface AdapterInfo
  extends Partial<Record<(typeof INFO)[number] | "subgroupMinSize" | "subgroupMaxSize", unknown>> {
  readonly backend?: string;
  readonly adapterType?: string;
  readonly driver?: string;
  readonly subgroupMatrixConfigs?: Iterable<object>;
}

const part: Part = {
  title: "Device",
  weight: 1,
  async run({ device, tell }) {
    tell({ runtime: runtime() });
    const runner = await openRunner(device);
    try {
      tell({ name: runner.name, features: [...runner.profile.features] });
      if (!(runner instanceof GpuRunner)) return;
      const { adapter, device: gpu } = runner;
      const info = (adapter?.info ?? gpu.adapterInfo) as AdapterInfo;
      const names = [...INFO, "backend", "adapterType", "driver"] as const;
      tell({
        adapter: Object.fromEntries(
          names.map((name) => [name, info[name]]).filter(([, value]) => value !== undefined),
        ),
        "subgroup sizes": [info.subgroupMinSize, info.subgroupMaxSize],
        "matrix units": [...(info.subgroupMatrixConfigs ?? [])].map(plain),
        "adapter features": [...(adapter?.features ?? [])].sort(),
        "device features": [...gpu.features].sort(),
        limits: plain(adapter?.limits ?? gpu.limits),
      });
    } finally {
      runner.dispose();
    }
  },
  inWords({ facts }) {
    const { limits, ...others } = facts;
    return [list(others), ...(limits ? ["", "Limits of the adapter:", "", list(limits as object)] : [])].join(
      "\n",
    );
  },
};
export default part;

/** The numbers and texts of an object whose properties are getters of its class. */
function plain(object: object): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const name in object) {
    const value = (object as Record<string, unknown>)[name];
    if (typeof value === "number" || typeof value === "string") values[name] = value;
  }
  return values;
}
