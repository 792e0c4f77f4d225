/** Node, with the library as it is built. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { root } from "../support/command.ts";

it("answers and tells its errors in a realm of its own, as Jest gives to modules", async () => {
  const args = ["checkpoints/nano", "examples/scene.png"];
  const program = ["--no-warnings", "--experimental-vm-modules", "tests/support/other_realm.mjs"];
  const { stdout } = await promisify(execFile)(process.execPath, [...program, ...args], { cwd: root });
  const caption = "An elephant, a boat, a sign and a blue book.";
  const missing = "Florence2Error file_not_found";
  expect(JSON.parse(stdout)).toEqual({ captions: [caption, caption, caption], errors: [missing, missing] });
});

it("ends a process that never disposes its model on the CPU engine", async () => {
  const program = `
    import { Florence2 } from "./dist/index.js";
    const model = await Florence2.fromPretrained("checkpoints/nano", { device: "cpu", threads: 2 });
    console.log((await model.run("checkpoints/nano/heldout/000.jpg", "<CAPTION>")).text);
  `;
  const args = ["--input-type=module", "--eval", program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 1_500_000 });
  expect(stdout).toMatch(/heart/);
});
