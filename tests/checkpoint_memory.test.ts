import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openFiles } from "../core/files.ts";
import {
  expectedTensors,
  OUTPUT_HEAD,
  openFlorenceCheckpoint,
  SHARED_EMBEDDING,
} from "../model/checkpoint.ts";
import { parseConfig } from "../model/config.ts";
import { released } from "./support/configurations.ts";
import { sparseHead } from "./support/sparse_checkpoint.ts";

const MIB = 2 ** 20;
let folder: string;

beforeAll(() => {
  const stored = [...expectedTensors(parseConfig(released("base")))]
    .filter(([name]) => name !== OUTPUT_HEAD && !name.endsWith("embed_tokens.weight"))
    .map(([name, shape]) => [name, { dtype: "F16", shape }] as const);
  const { head, size } = sparseHead(new Map(stored));
  folder = mkdtempSync(join(tmpdir(), "base-test-"));
  const file = openSync(join(folder, "model.safetensors"), "w");
  writeSync(file, head);
  ftruncateSync(file, size);
  closeSync(file);
});
afterAll(() => rmSync(folder, { recursive: true }));

it("reading base in float16 takes the memory of its largest tensor, not of the file", async () => {
  const checkpoint = await openFlorenceCheckpoint(openFiles(folder), parseConfig(released("base")));
  const before = process.resourceUsage().maxRSS;
  const table = await checkpoint.read(SHARED_EMBEDDING);
  const grown = (process.resourceUsage().maxRSS - before) * 1024;
  await checkpoint.close();
  expect(table.byteLength).toBe(51289 * 768 * 4);
  // Besides the 150 MiB of values: the chunks of 8 MiB that the garbage collector has not taken yet.
  expect(grown).toBeLessThan(table.byteLength + 100 * MIB);
});
