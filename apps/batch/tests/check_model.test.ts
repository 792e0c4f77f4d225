import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { filesIn, REPOSITORY, startHub } from "../../../tests/support/hub_server.ts";
import { batch } from "../commands/batch.ts";
import { openStorage } from "../storage/storage.ts";
import { freePort } from "./support/redis.ts";
import { images, never, newFolder } from "./support/runs.ts";

const nano = fileURLToPath(new URL("../../../checkpoints/nano", import.meta.url));

describe("the model of a run that is planned", () => {
  let output: string[];
  beforeEach(() => {
    output = [];
    vi.stubEnv("HF_HOME", newFolder());
    vi.spyOn(process.stderr, "write").mockImplementation((text) => output.push(String(text)) > 0);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });

  const plan = async (...args: string[]) => {
    const out = newFolder();
    const code = await batch(["plan", images(2), "--task", "OD", "--out", out, ...args], never());
    return { code, isPlanned: await openStorage(out).has("run.json") };
  };
  const planned = { code: 0, isPlanned: true };

  it("is looked for, and its weights are not read", async () => {
    expect(await plan("--model", nano)).toEqual(planned);
    expect(output).toEqual([expect.stringMatching(/^2 images in 1 chunk/)]);
  });

  it("is an error with the remedy where it is missing, unless only the workers have it", async () => {
    const message = /^--model .*--unchecked plans without a look at it\.$/s;
    for (const name of ["./no/such/model", newFolder()])
      await expect(plan("--model", name)).rejects.toMatchObject({
        code: "file_not_found",
        message: expect.stringMatching(message),
      });
    expect(await plan("--model", "./no/such/model", "--unchecked")).toEqual(planned);
  });

  it("is an error where its hub does not know it, and is not looked for where the hub is away", async () => {
    const hub = await startHub(await filesIn(nano));
    vi.stubEnv("HF_ENDPOINT", hub.url);
    expect(await plan("--model", REPOSITORY)).toEqual(planned);
    const read = hub.requests.filter(({ method, path }) => method === "GET" && path.endsWith(".safetensors"));
    expect(read).toEqual([]);
    await expect(plan("--model", "florence/tinny")).rejects.toMatchObject({
      code: "repository_not_found",
      message: expect.stringMatching(/^--model florence\/tinny: /),
    });
    await hub.close();
    vi.stubEnv("HF_ENDPOINT", `http://127.0.0.1:${await freePort()}`);
    expect(await plan("--model", "microsoft/Florence-2-base")).toEqual(planned);
    expect(output.join("")).toMatch(/The model was not looked for: .*2 images in 1 chunk/s);
  });

  it("knows drawn scenes only if it is the bundled one, and the plan says so", async () => {
    expect(await plan()).toEqual(planned);
    expect(output[0]).toMatch(/knows only drawn scenes.*--model microsoft\/Florence-2-base/);
    output = [];
    expect(await plan("--quiet")).toEqual(planned);
    expect(output).toEqual([]);
  });
});
