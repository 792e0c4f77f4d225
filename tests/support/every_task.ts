import { Florence2, tasks } from "../../index.ts";

const nano = new URL("../../checkpoints/nano/", import.meta.url);

/** Every task once with the bundled checkpoint: the token ids by task. */
export async function runEveryTask(device: "gpu" | "cpu"): Promise<Record<string, readonly number[]>> {
  const model = await Florence2.fromPretrained(nano, { device });
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
  return tokens;
}
