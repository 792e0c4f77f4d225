/** The program `florence2` as people call it; Deno runs its sources as they are. */
import { existsSync } from "node:fs";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tasks } from "../../index.ts";
import { deno, florence2, root } from "../support/command.ts";
import { newFolder } from "../support/hub_cache.ts";
import { filesIn, REPOSITORY, startHub } from "../support/hub_server.ts";

const image = "tests/fixtures/pictures/coffee.png";

describe.skipIf(!existsSync(deno))("florence2", () => {
  it.each([
    ["commands/describe/describe.ts", [], "florence2 [image ...]"],
    ["commands/doctor/doctor.ts", ["doctor"], "florence2 doctor [model]"],
    ["commands/evaluate.ts", ["evaluate"], "florence2 evaluate [options]"],
    ["commands/gallery.ts", ["gallery"], "florence2 gallery [options]"],
    ["commands/report/report.ts", ["report"], "florence2 report [options]"],
    ["commands/quantize/quantize.ts", ["quantize"], "florence2 quantize MODEL FOLDER"],
  ] as const)("%s explains every option", async (file, command, usage) => {
    const { code, stdout } = await florence2([...command, "--help"]);
    expect(code).toBe(0);
    const source = await readFile(join(root, file), "utf8");
    const options = [...source.matchAll(/^ {4,6}"?([a-z-]+)"?: \{ type: /gm)].map(([, name]) => `--${name}`);
    const shared = ["model", "revision", "device", "dtype", "num-beams", "max-new-tokens", "quiet"];
    if (source.includes("MODEL_OPTIONS")) options.push(...shared.map((name) => `--${name}`));
    expect(options.length).toBeGreaterThan(2);
    for (const option of options) expect(stdout).toContain(option);
    if (command.length === 0) for (const { token } of tasks) expect(stdout).toContain(token.slice(1, -1));
    expect(stdout).toContain(usage);
  });

  it("says its version, and explains itself and each command", async () => {
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    expect((await florence2(["--version"])).stdout).toBe(`${version}\n`);
    const help = await florence2(["help"]);
    const source = await readFile(join(root, "cli.ts"), "utf8");
    const commands = [...source.matchAll(/^ {2}(\w+): async \(\) =>/gm)].map(([, name]) => name!);
    expect(commands.length).toBeGreaterThan(4);
    for (const command of commands) expect(help.stdout).toMatch(new RegExp(`^  ${command} +\\w`, "m"));
    expect(help.stdout).toMatch(/^florence2 \[image \.\.\.\][\s\S]*\n {2}quantize +writes a smaller model/);
    expect((await florence2(["help", "quantize"])).stdout).toMatch(/^florence2 quantize MODEL FOLDER/);
    expect((await florence2(["quantise", "a", "b"])).stderr).toBe(
      "There is no command quantise; did you mean quantize?\n",
    );
  });

  it.each([
    ["a folder", ["a", "--dtype", "q4"], /takes a model and a folder to be made/],
    ["a dtype", ["a", "b"], /--dtype is "", expected q8 or q4/],
    ["a dtype of blocks", ["a", "b", "--dtype", "f16"], /--dtype is "f16", expected q8 or q4/],
  ] as const)("quantize misses %s, and says so", async (_, args, message) => {
    const { code, stderr } = await florence2(["quantize", ...args]);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  it.each([
    ["an unknown option", ["--beams", "3"], /no option --beams; did you mean --num-beams\? --help lists/],
    ["an option without its value", ["--model"], /--model.*--help lists/],
    ["an unknown option of doctor", ["doctor", "--fix"], /no option --fix\. --help lists/],
    ["two models for doctor", ["doctor", "a", "b"], /one model at a time, not also b/],
    ["no such image", ["nothing.jpg"], /^nothing\.jpg does not exist\.\n/],
    ["no such folder", ["nothing/"], /^nothing\/ does not exist\.\n/],
    ["a folder without images", ["core"], /^core has no image\.\n/],
    ["a pattern that nothing fits", ["core/*.jpg"], /^No file fits "core\/\*\.jpg"\.\n/],
    ["a file that is no image", ["package.json"], /package\.json|not an image|JPEG/],
    ["a word that is no task", [image, "ODD"], /^"ODD" is neither an image nor a task; did you mean OD\?\n/],
    ["a task without its text", [image, "<CAPTION_TO_PHRASE_GROUNDING>"], /needs a text/],
    ["a task without its region", [image, "region-to-ocr"], /needs a region/],
    ["a region that is none", [image, "<REGION_TO_OCR>", "--region", "1,2,3"], /X1,Y1,X2,Y2/],
    ["a text that no task takes", [image, "od", "--text", "cup"], /--text is given, and <OD> takes none/],
    ["a number that is none", [image, "--num-beams", "many"], /--num-beams is many, expected a whole/],
    ["too many beams", [image, "--num-beams", "50"], /numBeams is 50; allowed is an integer from 1 to 32/],
    ["a device that is none", [image, "--device", "tpu"], /--device is tpu, expected "auto", "gpu", "cpu"/],
    ["a format that is none", [image, "--dtype", "fp16"], /--dtype is fp16.*did you mean f16\?/],
    ["no folder to write into", [image, "--out", "nothing/a.png"], /cannot be written: there is no folder/],
    ["a format that is not written", [image, "--out", "a.bmp"], /ends in \.bmp; images are written as/],
    ["one file for several", [image, image, "--out", "a.png"], /is one file for 2 images; give a folder/],
  ] as const)("%s: says so in a line before a model is looked for", async (_, args, message) => {
    const isWhole = args[0] === "doctor" || args[0] === "--model";
    const { code, stdout, stderr } = await florence2(
      isWhole ? args : [...args, "--model", "./no-such-model"],
    );
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/no-such-model/);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect([code, stdout]).toEqual([1, ""]);
  });

  it("no such model: says so in a line", async () => {
    const { code, stderr } = await florence2([image, "--model", "./no-such-model"]);
    expect(stderr).toMatch(/^"\.\/no-such-model" is neither a folder here nor the id of a repository.*\n$/);
    expect(code).toBe(1);
  });

  it("answers with a model from a hub, and without the hub afterwards", async () => {
    const fixtures = join(root, "tests/fixtures/flavours");
    const { prompts, max_new_tokens } = JSON.parse(await readFile(join(fixtures, "expected.json"), "utf8"));
    const hub = await startHub(await filesIn(join(fixtures, "transformers")));
    const folder = await newFolder();
    try {
      const args = [image, "caption", "--model", REPOSITORY, "--device", "cpu", "--json", "--verbose"];
      for (const isOffline of ["0", "1"]) {
        const env = { HF_ENDPOINT: hub.url, HF_HUB_CACHE: folder, HF_HUB_OFFLINE: isOffline };
        hub.requests.length = 0;
        const { code, stdout, stderr } = await florence2(
          [...args, "--max-new-tokens", String(max_new_tokens)],
          env,
        );
        expect(hub.requests.length > 0).toBe(isOffline === "0");
        const result = JSON.parse(stdout);
        expect([result.file, result.task]).toEqual([image, "<CAPTION>"]);
        expect(result.tokens).toEqual(prompts[0].tokens);
        expect(stderr).not.toMatch(/drawn scenes/);
        expect(code).toBe(0);
      }
    } finally {
      await hub.close();
      await rm(folder, { recursive: true });
    }
  });
});

describe.skipIf(!existsSync(deno))("florence2 with the bundled model", () => {
  const FAST = ["--device", "cpu", "--num-beams", "1"];
  const SCENE = join(root, "examples/scene.png");
  const CAPTION = "An elephant, a boat, a sign and a blue book.";
  let folder: string;
  beforeAll(async () => {
    folder = await newFolder();
    await writeFile(join(folder, "a.png"), await readFile(SCENE));
    await writeFile(join(folder, "b.png"), "no image at all");
    await writeFile(join(folder, "c.png"), await readFile(SCENE));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("answers for each image of a folder, a line each, and goes on where one is bad", async () => {
    const { code, stdout, stderr } = await florence2([folder, "caption", "--json", ...FAST]);
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ file, task, answer }) => [file, task, answer])).toEqual(
      ["a.png", "c.png"].map((name) => [join(folder, name), "<CAPTION>", CAPTION]),
    );
    expect(Object.keys(lines[0])).toEqual(["file", "task", "answer", "score", "width", "height"]);
    expect(stderr).toContain(`${join(folder, "b.png")}: `);
    expect(stderr).toMatch(/1 of 3 images failed\.\n$/);
    expect(stderr).toMatch(
      /knows only drawn scenes[\s\S]*a\.png --model base {4}\(downloads 0\.5 GB, once\)/,
    );
    expect(code).toBe(1);
  });

  it("looks for several texts at once, and gives each task what it takes", async () => {
    const phrases = ["boat", "sign"].flatMap((text) => ["--text", text]);
    const args = [SCENE, "open-vocabulary-detection", "region-to-category", ...phrases];
    const { stdout } = await florence2([...args, "--region", "6,90,57,142", "--json", ...FAST]);
    const [found, category] = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(found.input).toEqual(["boat", "sign"]);
    expect(found.answer.bboxes_labels).toEqual(["boat", "sign"]);
    expect(category).toMatchObject({
      task: "<REGION_TO_CATEGORY>",
      input: [6, 90, 57, 142],
      answer: "elephant",
    });
  });

  it("reads stdin, writes what is asked for and nothing else, and is quiet on request", async () => {
    const before = await readdir(root);
    const answered = await florence2(["-", "CAPTION", "-q", ...FAST], {}, await readFile(SCENE));
    expect(answered).toEqual({ code: 0, stderr: "", stdout: expect.stringContaining(CAPTION) });
    expect(await readdir(root)).toEqual(before);

    const out = join(folder, "out");
    for (const [target, magic] of [
      [join(folder, "x.svg"), "<svg"],
      [join(folder, "x.jpg"), "\xff\xd8"],
      [join(folder, "x.webp"), "RIFF"],
      [`${out}/`, "\x89PNG"],
    ] as const) {
      const { code } = await florence2([SCENE, "caption", "--out", target, "-q", ...FAST]);
      expect(code).toBe(0);
      const file = target.endsWith("/") ? join(out, "scene.answer.png") : target;
      expect((await readFile(file)).toString("latin1").startsWith(magic), file).toBe(true);
    }
    const piped = await florence2([SCENE, "caption", "--out", "-", "-q", ...FAST]);
    expect(piped.stdout.slice(1, 4)).toBe("PNG");
  });
});
