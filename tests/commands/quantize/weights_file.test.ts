import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeWeights } from "../../../commands/quantize/weights_file.ts";
import { openFiles } from "../../../files/files.ts";
import { parityCheckpoint } from "../../../measure/generated/parity_weights.ts";
import { LOGITS_BIAS, SHARED_EMBEDDING } from "../../../model/weights/expected_tensors.ts";
import { openCheckpoint } from "../../../model/weights/open_checkpoint.ts";
import { newFolder } from "../../support/hub_cache.ts";
import { TINY } from "../../support/stored_tensors.ts";

let folder: string;
beforeAll(async () => {
  folder = await newFolder();
});
afterAll(() => rm(folder, { recursive: true }));

it("writes tensors in half precision that have an odd number of elements, and reads them", async () => {
  const checkpoint = parityCheckpoint(TINY);
  const { shape } = checkpoint.tensors.get(LOGITS_BIAS)!;
  expect(shape.reduce((a, b) => a * b) % 2).toBe(1);
  const dtypes = new Map([...checkpoint.tensors.keys()].map((name) => [name, "f16"] as const));
  await writeWeights(join(folder, "model.safetensors"), checkpoint, dtypes);
  const written = await openCheckpoint(openFiles(folder), TINY);
  for (const name of [LOGITS_BIAS, SHARED_EMBEDDING])
    expect(await written.readPacked(name, 0, 1, "f16")).toEqual(
      await checkpoint.readPacked(name, 0, 1, "f16"),
    );
  await written.close();
});
