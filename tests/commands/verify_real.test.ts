import { cp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { RECORDED_ANSWERS, type RecordedAnswer } from "../../commands/doctor/recorded_answers.ts";
import { verifyReal } from "../../commands/doctor/verify.ts";
import { resolveTask } from "../../model/tasks/index.ts";
import { newFolder } from "../support/hub_cache.ts";
import { filesIn, type HubServer, REPOSITORY, startHub } from "../support/hub_server.ts";

const fixtures = fileURLToPath(new URL("../fixtures", import.meta.url));
const model = join(fixtures, "flavours/transformers");

let folder: string;
let hub: HubServer;
let recorded: RecordedAnswer[];

/** What transformers answers with the tiny model stands for what was published of the released ones. */
beforeAll(async () => {
  const expected = JSON.parse(await readFile(join(fixtures, "flavours/expected.json"), "utf8"));
  const picture = await readFile(join(fixtures, "pictures", expected.picture));
  hub = await startHub({ ...(await filesIn(model)), [expected.picture]: picture });
  recorded = expected.prompts.map(({ task, tokens }: { task: string; tokens: number[] }) => ({
    weights: "tiny",
    image: `/${REPOSITORY}/resolve/main/${expected.picture}`,
    task,
    options: { maxNewTokens: expected.max_new_tokens },
    tokens,
  }));
  folder = await newFolder();
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});
afterAll(async () => {
  await hub.close();
  await rm(folder, { recursive: true });
});

async function printed(
  args: string[],
  answers?: readonly RecordedAnswer[],
  env: Readonly<Record<string, string>> = {},
) {
  const usual = { HF_ENDPOINT: hub.url, HF_HUB_CACHE: folder };
  for (const [name, value] of Object.entries({ ...usual, ...env })) vi.stubEnv(name, value);
  const out = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  const err = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const code = await verifyReal(args, answers);
  const text = (spy: typeof out) => spy.mock.calls.map(([line]) => line).join("");
  return { code, output: text(out), errors: text(err) };
}

const cpu = ["--device", "cpu"];

describe("florence2 verify", () => {
  it("downloads weights and image, and finds what holds", async () => {
    const { code, output } = await printed([REPOSITORY, ...cpu], recorded);
    expect(output.match(/: holds$/gm)).toHaveLength(recorded.length);
    expect(output).toContain(`${recorded.length} of ${recorded.length} recorded answers hold.`);
    expect(code).toBe(0);
    const images = hub.requests.filter(
      ({ method, path }) => method === "GET" && path.includes("resolve/main/"),
    );
    expect(new Set(images.map(({ path }) => path)).has(recorded[0]!.image)).toBe(true);
  });

  it("names the first token that differs, and ends with 1", async () => {
    const { tokens } = recorded[0]!;
    const wrong = { ...recorded[0]!, tokens: tokens!.with(3, 77) };
    const longer = { ...recorded[0]!, tokens: [...tokens!, 78] };
    const { code, output } = await printed([REPOSITORY, ...cpu], [wrong, longer, recorded[1]!]);
    expect(output).toContain(`token 3 is ${tokens![3]} instead of 77`);
    expect(output).toContain(`token ${tokens!.length} is none instead of 78`);
    expect(output).toContain("1 of 3 recorded answers hold.");
    expect(code).toBe(1);
  });

  it("compares answers where no tokens were recorded", async () => {
    const { task, image, options } = recorded.find((answer) => answer.task === "<CAPTION>") ?? recorded[0]!;
    const wrong = { weights: "tiny", task, image, options, answer: "A green car" };
    const first = await printed([REPOSITORY, ...cpu], [wrong]);
    const found = /differs: (.*) instead of A green car$/m.exec(first.output)![1]!;
    expect(first.code).toBe(1);
    const second = await printed([REPOSITORY, ...cpu], [{ ...wrong, answer: found }]);
    expect(second.code).toBe(0);
  });

  it("says which weights it knows answers of, and what is missing", async () => {
    const unknown = await printed(["someone/Florence-3", ...cpu]);
    expect(unknown.code).toBe(1);
    expect(unknown.errors).toMatch(
      /No answers of Florence-3.*Florence-2-base, Florence-2-large, Florence-2-base-ft/,
    );
    const absent = await printed([...cpu]);
    expect(absent.code).toBe(1);
    expect(absent.errors).toContain("no repository florence-community/Florence-2-base");
  });
});

describe("florence2 verify without what it needs", () => {
  it("a hub: names what cannot be had, from where, and what to look at", async () => {
    const { code, output, errors } = await printed([REPOSITORY, ...cpu], recorded, {
      HF_ENDPOINT: "http://127.0.0.1:1",
      HF_HUB_CACHE: join(folder, "empty"),
    });
    expect([code, output]).toEqual([1, ""]);
    expect(errors).toMatch(
      /^config\.json of florence\/tiny could not be downloaded from http:\/\/127\.0\.0\.1:1/,
    );
    expect(errors).toMatch(/check the network, its proxy and HF_ENDPOINT.*give a folder/);
  });

  it("a hub: a folder with the weights and one with the images will do", async () => {
    const copy = join(folder, "tiny");
    await cp(model, copy, { recursive: true });
    const args = [copy, "--images", join(fixtures, "pictures"), ...cpu];
    const { code, output } = await printed(args, recorded, { HF_ENDPOINT: "http://127.0.0.1:1" });
    expect(output).toContain(`${recorded.length} of ${recorded.length} recorded answers hold.`);
    expect(code).toBe(0);
    const none = await printed([copy, "--images", folder, ...cpu], recorded);
    expect(none.errors).toContain(join(folder, "coffee.png"));
    expect(none.code).toBe(1);
  });

  it("an image on the hub: names it", async () => {
    const gone = recorded.map((answer) => ({ ...answer, image: "/gone.jpg" }));
    const { code, errors } = await printed([REPOSITORY, ...cpu], gone);
    expect(errors).toContain(`${hub.url}/gone.jpg`);
    expect(code).toBe(1);
  });

  it("an option that it knows: says where they are listed", async () => {
    const { code, errors } = await printed(["--weights"]);
    expect(errors).toBe("There is no option --weights. --help lists the options.\n");
    expect(code).toBe(1);
  });
});

describe("the recorded answers", () => {
  it("are whole: from start to end token within the vocabulary, or a text", () => {
    for (const { task, tokens, answer, options } of RECORDED_ANSWERS) {
      if (tokens === undefined) expect(answer?.length, task).toBeGreaterThan(0);
      else {
        expect([tokens.at(0), tokens.at(1), tokens.at(-1)]).toEqual([2, 0, 2]);
        expect(tokens.every((id) => Number.isInteger(id) && id >= 0 && id < 51_289)).toBe(true);
        expect(tokens.length).toBeLessThanOrEqual(options.maxNewTokens! + 1);
      }
    }
  });

  it("answer questions that the tasks take", () => {
    for (const { task, text } of RECORDED_ANSWERS)
      expect(() => resolveTask(task, text, { width: 640, height: 480 })).not.toThrow();
  });
});
