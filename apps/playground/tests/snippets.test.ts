/** The code that the page shows, run as it is against a server: it prints the answer. */
import { execFile, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Florence2 } from "florence2-webgpu";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageFile } from "../../../files/package_files.ts";
import { type Call, snippetsOf } from "../page/answer/snippets.ts";
import type { Question } from "../page/engines/engine.ts";
import { type ModelServer, startModelServer } from "./support/model_server.ts";

/** A name that a shell and a form have to quote. */
const FILE = `it's "a" scene.png`;
const QUESTIONS: readonly Question[] = [
  { task: "<CAPTION>" },
  { task: "<REGION_TO_CATEGORY>", region: [6, 90, 60, 142] },
  { task: "<OPEN_VOCABULARY_DETECTION>", text: ["a boat", `the "book"`] },
];

const hasPython = spawnSync("python3", ["--version"]).status === 0;

describe("the code of an answer", () => {
  let server: ModelServer;
  let model: Florence2;
  const folder = mkdtempSync(join(tmpdir(), "florence2-snippets-"));
  beforeAll(async () => {
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(packageFile(""), join(folder, "node_modules/florence2-webgpu"));
    copyFileSync(packageFile("examples/scene.png"), join(folder, FILE));
    server = await startModelServer();
    model = await Florence2.fromPretrained(packageFile("checkpoints/nano"), { device: "cpu" });
  });
  afterAll(async () => {
    await server?.stop();
    model?.dispose();
  });

  const run = async (command: string, args: readonly string[]) =>
    JSON.parse((await promisify(execFile)(command, args, { cwd: folder, encoding: "utf8" })).stdout);

  const callOf = (question: Question): Call => ({
    question,
    file: FILE,
    server: { origin: server.url.slice(0, -1), hasKey: false },
    isBundled: true,
  });
  const answerOf = async ({ task, text, region }: Question) =>
    (await model.run(packageFile("examples/scene.png"), task as string, { text, region })).answer;

  it.each(QUESTIONS)("$task: curl and TypeScript print what the model answers", async (question) => {
    const choice = { source: "", device: "cpu", dtype: "auto" } as const;
    const call = callOf(question);
    const expected = await answerOf(question);
    const [typescript, curl] = snippetsOf(call).map((snippet) => snippet.text);
    const [library] = snippetsOf({ ...call, choice }).map((snippet) => snippet.text);
    writeFileSync(join(folder, "ask.mjs"), typescript!);
    writeFileSync(join(folder, "library.mjs"), library!);
    expect(await run(process.execPath, ["library.mjs"])).toEqual(expected);
    expect(await run(process.execPath, ["ask.mjs"])).toEqual(expected);
    expect((await run("sh", ["-c", curl!])).results[0].answer).toEqual(expected);
  });

  it.skipIf(!hasPython).each(QUESTIONS)("$task: Python does (needs python3)", async (question) => {
    const [, , python] = snippetsOf(callOf(question)).map((snippet) => snippet.text);
    writeFileSync(join(folder, "ask.py"), python!);
    expect(await run("python3", ["ask.py"])).toEqual(await answerOf(question));
  });
});
