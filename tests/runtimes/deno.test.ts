import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, it } from "vitest";
import { gpuMissing } from "../support/gpu.ts";
import { expectEnd, expectEveryTask } from "../support/runtime.ts";

const deno = fileURLToPath(new URL("../../node_modules/.bin/deno", import.meta.url));

describe.skipIf(!existsSync(deno))("under Deno, the sources as they are give the answers of Node", () => {
  const program = [deno, "run", "-A", "--unstable-webgpu"] as const;

  it("on the CPU engine, with threads", () => expectEveryTask(program, "cpu"));

  it("and a process ends although its model was not disposed", () => expectEnd(program));

  it.skipIf(gpuMissing)("on the GPU", () => expectEveryTask(program, "gpu"));
});
