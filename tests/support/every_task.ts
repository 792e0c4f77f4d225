import { Florence2, tasks } from "../../index.ts";

const nano = new URL("../../checkpoints/nano/", import.meta.url);

/** The answers of the bundled checkpoint, and what gave them. */
interface EveryTask {
  readonly device: string;
  /** Token ids by task. */
  readonly tokens: Readonly<Record<string, readonly number[]>>;
}

/** Every task once with the bundled checkpoint; the CPU engine takes two threads. */
export async function runEveryTask(device: "gpu" | "cpu"): Promise<EveryTask> {
  const model = await Florence2.fromPretrained(nano, { device, threads: 2 });
  const image = await model.encodeImage(new URL("heldout/000.jpg", nano));
  const inputs = {
    none: {},
    text: { text: "a dog" },
    region: { region: { x1: 20, y1: 30, x2: 150, y2: 160 } },
  };
  const tokens: Record<string, readonly number[]> = {};
  for (const { token, input } of tasks) {
    tokens[token] = (await model.run(image, token, { ...inputs[input], maxNewTokens: 8 })).tokens;
  }
  model.dispose();
  return { device: model.device.name, tokens };
}
