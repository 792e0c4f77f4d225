import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { helpText, printSettings, readSettings } from "../../config/read_settings.ts";
import { flagOf, settingsByName, variableOf } from "../../config/settings.ts";
import { version } from "../../operations/version.ts";

const file = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), "utf8");

describe("settings", () => {
  it("come from flags before the environment, from that before a file, and else are the defaults", () => {
    const config = join(mkdtempSync(join(tmpdir(), "florence2-config-")), "config.json");
    writeFileSync(
      config,
      JSON.stringify({
        "max-queue": 10,
        "max-running": 20,
        port: 30,
        "cors-origin": ["https://a.example", "https://b.example"],
      }),
    );
    const settings = readSettings(["--max-queue", "1", "--config", config], {
      FLORENCE2_MAX_QUEUE: "2",
      FLORENCE2_MAX_RUNNING: "3",
    });
    expect(settings).toMatchObject({
      maxQueue: 1,
      maxRunning: 3,
      port: 30,
      host: "127.0.0.1",
      corsOrigin: ["https://a.example", "https://b.example"],
    });
  });

  it("have units, lists and inline values", () => {
    const settings = readSettings(
      [
        "--max-body=1.5MB",
        "--request-timeout",
        "500ms",
        "--shutdown-timeout=2m",
        "--api-key",
        "a",
        "--api-key",
        "b",
        "--no-auth",
      ],
      {},
    );
    expect(settings).toMatchObject({
      maxBody: 1_500_000,
      requestTimeout: 500,
      shutdownTimeout: 120_000,
      apiKey: ["a", "b"],
      noAuth: true,
    });
  });

  const faults: readonly (readonly [readonly string[], NodeJS.ProcessEnv, RegExp])[] = [
    [["--nope"], {}, /--nope/],
    [["photo.jpg"], {}, /photo\.jpg/],
    [["--port"], {}, /--port needs a value/],
    [["--port", "70000"], {}, /--port is "70000".*0 to 65535/],
    [["--max-body", "big"], {}, /--max-body is "big"/],
    [["--request-timeout", "5h"], {}, /--request-timeout/],
    [["--device", "tpu"], {}, /--device is "tpu".*auto, gpu, cpu/],
    [[], { FLORENCE2_PORT: "x" }, /FLORENCE2_PORT/],
    [["--host", "0.0.0.0"], {}, /--api-key/],
    [["--image-urls", "list"], {}, /--allowed-media-domains/],
    [["--image-url-schemes", "https,ftp"], {}, /ftp/],
    [["--config", "/none.json"], {}, /--config \/none.json/],
  ];
  for (const [args, environment, message] of faults) {
    it(`${args.join(" ")} ${JSON.stringify(environment)} is refused`, () =>
      expect(() => readSettings(args, environment)).toThrow(message));
  }

  it("of a public address need a key, or the word that none is meant", () => {
    expect(readSettings(["--host", "0.0.0.0", "--api-key", "k"], {}).host).toBe("0.0.0.0");
    expect(readSettings(["--host", "0.0.0.0", "--no-auth"], {}).noAuth).toBe(true);
  });

  it("are printed without their secrets", () => {
    const printed = printSettings(readSettings(["--api-key", "very-secret"], {}));
    expect(JSON.parse(printed)["api-key"]).toEqual(["***"]);
    expect(printed).not.toContain("very-secret");
  });

  it("are all in the help", () => {
    for (const name of settingsByName.keys()) expect(helpText()).toContain(`--${flagOf(name)}`);
  });

  it("are the README's table", () => {
    const rows = [...settingsByName].map(([name, { value, shown, help }]) => {
      const flag = `\`--${flagOf(name)}${value ? ` ${value.replaceAll("|", "\\|")}` : ""}\``;
      return `| ${flag} | \`${variableOf(name)}\` | ${shown || "none"} | ${help} |`;
    });
    const table = file("README.md")
      .split("\n")
      .filter((line) => line.startsWith("| `--"));
    expect(table).toEqual(rows);
  });
});

it("the version is that of the package", () =>
  expect(version).toBe(JSON.parse(file("package.json")).version));
