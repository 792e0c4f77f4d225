import { existsSync, mkdtempSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { defaultSettings, type Settings } from "../../config/settings.ts";
import { expectDataDir } from "../../files/data_dir.ts";
import { createServer } from "../../server.ts";
import { fakeEngine } from "../support/fake_engine.ts";

const root = () => mkdtempSync(join(tmpdir(), "florence2-data-"));
const refused = (path: string, reason: string) =>
  expect.objectContaining({
    code: "file_unwritable",
    message: expect.stringContaining(
      `${path}: ${reason}. Name a folder that this user can write with --data-dir`,
    ),
  });

afterEach(() => vi.unstubAllEnvs());

describe("the folder of files and batches", () => {
  it("is made, for its owner alone, and nothing stays of the trial", () => {
    const folder = join(root(), "a/b");
    expectDataDir(folder);
    expect(readdirSync(folder)).toEqual(["batches", "files"]);
    expect(readdirSync(join(folder, "files"))).toEqual([]);
    expect(statSync(join(folder, "files")).mode & 0o777).toBe(0o700);
  });

  it("is an error at the start, before the model is loaded, that names it and the remedy", async () => {
    const file = join(root(), "file");
    writeFileSync(file, "mine");
    const start = async (settings: Partial<Settings>) => {
      const load = vi.fn(async () => fakeEngine());
      const { start } = createServer({ ...defaultSettings, ...settings }, { load, log: () => {} });
      await start().finally(() => expect(load).not.toHaveBeenCalled());
    };
    for (const dataDir of [file, join(file, "below")])
      await expect(start({ dataDir })).rejects.toEqual(refused(dataDir, "there is a file in its place"));
    if (process.platform !== "linux") return;
    await expect(start({ dataDir: "/proc/x" })).rejects.toEqual(
      expect.objectContaining({ code: "file_unwritable", message: expect.stringContaining("/proc/x") }),
    );
  });

  it.runIf(existsSync("/proc"))(
    "is a warning where it is the usual one, and the server answers",
    async () => {
      vi.stubEnv("XDG_STATE_HOME", "/proc");
      const entries: object[] = [];
      const settings = { ...defaultSettings, dataDir: "/proc/florence2-server" };
      const server = createServer(settings, {
        load: async () => fakeEngine(),
        log: (entry) => entries.push(entry),
      });
      await server.start();
      expect(entries).toContainEqual(
        expect.objectContaining({
          event: "data_dir_unwritable",
          message: expect.stringContaining("/proc/florence2-server"),
        }),
      );
      const form = new FormData();
      form.set("purpose", "vision");
      form.set("file", new Blob(["x"]), "a.png");
      const ask = (path: string, init?: RequestInit) =>
        server.app.fetch(new Request(`http://localhost${path}`, { headers: { host: "localhost" }, ...init }));
      expect((await ask("/readyz")).status).toBe(200);
      expect((await ask("/v1/files", { method: "POST", body: form })).status).toBe(500);
      await server.stop();
    },
  );
});
