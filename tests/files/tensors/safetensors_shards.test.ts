import { describe, expect, it } from "vitest";
import { type FileContent, type Files, openFiles } from "../../../files/files.ts";
import { openWeightFile } from "../../../files/tensors/shards.ts";
import { florenceError } from "../../support/errors.ts";
import { safetensorsBytes, type TensorBytes } from "../../support/safetensors_bytes.ts";

const INDEX = "model.safetensors.index.json";
const openShards = (files: Files) => openWeightFile(files, ["model.safetensors", INDEX]);
const ONE = "model-00001-of-00002.safetensors";
const TWO = "model-00002-of-00002.safetensors";

const tensor = (...values: number[]): TensorBytes => ({
  dtype: "U8",
  shape: [values.length],
  bytes: Uint8Array.from(values),
});
const json = (value: unknown) => new Blob([JSON.stringify(value)]);
const index = (weightMap: unknown, metadata: unknown = { total_size: 6 }) => ({
  [INDEX]: json({ metadata, weight_map: weightMap }),
});
const shards = {
  [ONE]: safetensorsBytes({ a: tensor(1), b: tensor(2, 3) }, { format: "pt" }),
  [TWO]: safetensorsBytes({ c: tensor(4, 5, 6) }),
};
const map = { a: ONE, b: ONE, c: TWO };

async function rejects(files: Record<string, FileContent>, ...patterns: string[]): Promise<void> {
  const error = florenceError("safetensors_invalid", INDEX, ...patterns);
  await expect(openShards(openFiles(files))).rejects.toEqual(error);
}

describe("sharded weights", () => {
  it("look like one file", async () => {
    const file = await openShards(openFiles({ ...shards, ...index(map) }));
    expect([...file.tensors.keys()]).toEqual(["a", "b", "c"]);
    expect(file.tensors.get("c")).toMatchObject({ dtype: "U8", shape: [3], bytes: 3 });
    expect(file.metadata.get("format")).toBe("pt");
    expect(await file.read("b")).toEqual(Uint8Array.of(2, 3));
    expect(await file.read("c", { start: 1, end: 2 })).toEqual(Uint8Array.of(5));
    await expect(file.read("d")).rejects.toEqual(florenceError("checkpoint_mismatch", '"d"'));
    await file.close();
    await expect(file.read("a")).rejects.toEqual(florenceError("disposed", ONE));
  });

  it("give way to a single file", async () => {
    const single = { "model.safetensors": safetensorsBytes({ all: tensor(7) }) };
    const file = await openShards(openFiles({ ...shards, ...index(map), ...single }));
    expect([...file.tensors.keys()]).toEqual(["all"]);
  });

  it("need no total_size", async () => {
    expect((await openShards(openFiles({ ...shards, ...index(map, {}) }))).tensors.size).toBe(3);
    const bare = { [INDEX]: json({ weight_map: map }) };
    expect((await openShards(openFiles({ ...shards, ...bare }))).tensors.size).toBe(3);
  });

  it("lack their index (B24)", async () => {
    const opened = (files: Record<string, FileContent>) => openShards(openFiles(files));
    await expect(opened(shards)).rejects.toEqual(florenceError("file_not_found", "model.safetensors", INDEX));
  });

  it("lack a shard (B24)", async () => {
    const files = openFiles({ [ONE]: shards[ONE], ...index(map) });
    await expect(openShards(files)).rejects.toEqual(florenceError("file_not_found", TWO));
  });

  it("have an index that is no index (B24)", async () => {
    for (const value of [null, [], {}, { weight_map: [] }, { weight_map: null }]) {
      await rejects({ ...shards, [INDEX]: json(value) }, "weight_map");
    }
    await rejects({ ...shards, [INDEX]: new Blob(["<html>"]) }, "not valid JSON");
    await rejects(
      { ...shards, [INDEX]: new Blob([`{"weight_map":{"a":"${ONE}","a":"${ONE}"}}`]) },
      '"a" occurs twice',
    );
    await rejects({ ...shards, ...index(map, { total_size: "6" }) }, "total_size");
  });

  it("are looked for in another folder (B24)", async () => {
    for (const shard of ["../evil", "/etc/passwd", "a/../../b", "C:\\x", "", 1, null]) {
      await rejects({ ...shards, ...index({ ...map, c: shard }) }, '"c" has no valid shard');
    }
  });

  it("do not hold what the index says, or more (B24)", async () => {
    await rejects(
      { ...shards, ...index({ ...map, d: TWO }) },
      `"d" is not where`,
      `Expected ${TWO}; found "nowhere"`,
    );
    await rejects(
      { ...shards, ...index({ a: ONE, c: TWO }) },
      `"b" is not where`,
      `Expected nowhere; found "${ONE}"`,
    );
    await rejects({ ...shards, ...index({ ...map, c: ONE, d: TWO }) }, `"c" is not where`, `Expected ${ONE}`);
    const twice = { [TWO]: safetensorsBytes({ a: tensor(9), c: tensor(4, 5, 6) }) };
    await rejects(
      { ...shards, ...twice, ...index(map) },
      `"a" is not where`,
      `Expected ${ONE}; found "${TWO}"`,
    );
    await rejects({ ...shards, ...index(map, { total_size: 7 }) }, "total_size of 7 bytes", "hold 6");
  });

  it("are closed again when one of them is bad", async () => {
    const files = openFiles({ [ONE]: shards[ONE], [TWO]: new Uint8Array(3), ...index(map) });
    let open = 0;
    const counted = {
      ...files,
      async open(name: string) {
        const file = await files.open(name);
        open++;
        return { ...file, close: async () => void open-- };
      },
    };
    await expect(openShards(counted)).rejects.toEqual(florenceError("safetensors_invalid", TWO));
    expect(open).toBe(0);
  });
});
