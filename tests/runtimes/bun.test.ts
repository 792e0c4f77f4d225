import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, it } from "vitest";
import { expectEnd, expectEveryTask } from "../support/runtime.ts";

const installed = fileURLToPath(new URL("../../node_modules/.bin/bun", import.meta.url));
const bun = existsSync(installed) ? installed : "bun";
const isMissing = spawnSync(bun, ["--version"]).status !== 0;

describe.skipIf(isMissing)(
  `under Bun, the sources as they are give the answers of Node${isMissing ? " (needs: npm install --no-save bun)" : ""}`,
  () => {
    it("on the CPU engine, with threads", () => expectEveryTask([bun, "run"], "cpu"));

    it("and a process ends although its model was not disposed", () => expectEnd([bun, "run"]));
  },
);
