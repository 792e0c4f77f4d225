import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { helpText, readMcpSettings } from "../settings.ts";
import { version } from "../version.ts";

const read = (args: readonly string[], environment: Record<string, string> = {}, folder = "/work/here") =>
  readMcpSettings(args, environment, folder);

it("takes the server's settings by flag and environment, and folders", () => {
  const { settings, roots, preload } = read(["--root", "a", "--root=/b", "--device", "cpu", "--preload"], {
    FLORENCE2_MODEL: "microsoft/Florence-2-base",
  });
  expect(settings).toMatchObject({ device: "cpu", model: "microsoft/Florence-2-base" });
  expect(roots).toEqual(["/work/here/a", "/b"]);
  expect(preload).toBe(true);
});

it("takes several folders after one flag, up to the next one", () => {
  expect(read(["--root", "a", "/b", "--root", "c", "--preload"])).toMatchObject({
    roots: ["/work/here/a", "/b", "/work/here/c"],
    preload: true,
  });
});

it("allows the working folder unless that is the whole disk", () => {
  expect(read([]).roots).toEqual(["/work/here"]);
  expect(read([], {}, "/").roots).toEqual([]);
});

it("passes over the environment of a server with a port", () => {
  expect(read([], { FLORENCE2_HOST: "0.0.0.0" }).settings.host).toBe("127.0.0.1");
});

it.each([[["--port", "1"]], [["--nope"]], [["--root"]], [["--device", "tpu"]], [["--preload=1x", "x"]]])(
  "refuses %j by name",
  (args) => {
    const flag = args[0]!.split("=")[0]!;
    const culprit = flag === "--preload" ? "x" : flag;
    expect(() => read(args)).toThrow(culprit);
  },
);

it("lists every flag in its help", () => {
  for (const flag of ["--root FOLDER ...", "--preload", "--model MODEL", "--image-urls public|list|off"])
    expect(helpText()).toContain(flag);
});

it("has the version of its package", () => {
  const { version: published } = JSON.parse(
    readFileSync(new URL("../package.json", import.meta.url), "utf8"),
  );
  expect(version).toBe(published);
});
