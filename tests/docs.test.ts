import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { Florence2Error } from "../core/errors.ts";
import { expectOptions } from "../model/option_names.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const cli = join(root, "dist/cli.js");

/** The documents of the repository, as paths from the root. */
const documents = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file && existsSync(join(root, file)));

const textOf = (document: string) => readFileSync(join(root, document), "utf8");

/** Scripts of the package in a folder. */
function scriptsOf(folder: string): string[] {
  const { scripts } = JSON.parse(textOf(join(folder, "package.json"))) as { scripts: Record<string, string> };
  return Object.keys(scripts);
}

/** Targets of links and images that are files here, with the heading that they point to. */
function localLinks(document: string): string[] {
  const text = textOf(document).replaceAll(/^```.*?^```/gms, "");
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  return links.filter((target) => !/^[a-z]+:/.test(target));
}

/** As GitHub and npm make them of headings: `## A folder` → `a-folder`. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading!);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

/** Command lines of a document: those of its shell blocks, and those that stand in its sentences as code. */
function commandLines(document: string): string[] {
  const text = textOf(document);
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block]) => block!.split("\n"));
  const inline = [...text.replaceAll(/^```.*?^```/gms, "").matchAll(/`((?:npm|npx) [^`]+)`/g)].map(
    ([, line]) => line!.replaceAll("\\|", "|"),
  );
  return [...blocks, ...inline]
    .map((line) => line.replace(/\s+#.*$/, "").trim())
    .filter((line) => line !== "");
}

describe.each(documents)("%s", (document) => {
  it("links to files and headings that exist", () => {
    for (const link of localLinks(document)) {
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? join(root, document) : join(root, dirname(document), decodeURI(path));
      expect(existsSync(target), `${link} in ${document}`).toBe(true);
      if (anchor) expect(anchorsOf(readFileSync(target, "utf8")), `${link} in ${document}`).toContain(anchor);
    }
  });

  it("names commands that exist", () => {
    for (const line of commandLines(document)) {
      const script = /^npm (?:run )?(?!install|ci|publish|pack|i )([\w:]+)/.exec(line)?.[1];
      const workspace = /--workspace (\S+)/.exec(line)?.[1] ?? ".";
      if (script) expect(scriptsOf(workspace), `${line} in ${document}`).toContain(script);
      if (!/\bvitest run\b/.test(line)) continue;
      const files = line.split(/\s+/).filter((word) => word.startsWith("tests/") || word.startsWith("apps/"));
      for (const file of files) expect(existsSync(join(root, file)), `${line} in ${document}`).toBe(true);
    }
  });

  it("gives options that the commands of florence2 have", () => {
    for (const line of commandLines(document)) {
      const [, rest] = /^(?:npx )?florence2 (.*)$/.exec(line) ?? [];
      if (rest === undefined) continue;
      const [first = ""] = rest.split(" ");
      const help = helpOf(commands.has(first) ? first : "describe");
      for (const option of rest.match(/--[a-z][a-z-]*/g) ?? [])
        expect(help, `${line} in ${document}`).toContain(option);
    }
  });
});

const helps = new Map<string, string>();
function helpOf(command: string): string {
  const known = helps.get(command);
  if (known !== undefined) return known;
  const help = execFileSync(process.execPath, [cli, "help", command], { encoding: "utf8" });
  helps.set(command, help);
  return help;
}

/** The commands that the program lists in its help. */
const commands = new Set(
  [
    ...execFileSync(process.execPath, [cli, "help"], { encoding: "utf8" }).matchAll(/^ {2}([a-z]+) {2,}/gm),
  ].map(([, name]) => name!),
);

describe("the README", () => {
  it("can be read in two minutes", () => {
    expect(textOf("README.md").split("\n").length).toBeLessThanOrEqual(200);
  });

  it("has every room of the build in its map", () => {
    const { include } = JSON.parse(textOf("tsconfig.build.json")) as { include: string[] };
    const map = textOf("README.md").split("## The map")[1]!.split("\n## ")[0]!;
    for (const room of include.filter((path) => !path.endsWith(".ts"))) expect(map).toContain(`\`${room}/\``);
  });

  it("links to files that the package has, for npm and for the installed package", () => {
    const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: root,
      encoding: "utf8",
    });
    const [{ files }] = JSON.parse(output) as [{ files: { path: string }[] }];
    const paths = files.map(({ path }) => path);
    for (const link of localLinks("README.md")) {
      const target = relative(root, join(root, link.split("#")[0]!));
      if (!target.startsWith("apps/")) expect(paths, link).toContain(target);
    }
  });
});

describe("docs/usage.md", () => {
  /** Names in the first column of the table under a heading. */
  function documented(heading: string): string[] {
    const section = textOf("docs/usage.md").split(`${heading}\n`)[1]!.split(/^##/m)[0]!;
    const cells = [...section.matchAll(/^\| ([^|]*`[^|]*) \|/gm)].map(([, cell]) => cell!);
    return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name!));
  }

  /** The options of a call, as its error lists them. */
  function optionsOf(call: Parameters<typeof expectOptions>[0]): readonly string[] {
    try {
      expectOptions(call, { "no such option": true });
    } catch (error) {
      if (error instanceof Florence2Error) return error.details.allowed as readonly string[];
    }
    throw new Error(`${call} takes any option`);
  }

  it("lists the options of fromPretrained, and no others", () => {
    expect(documented("## Load").sort()).toEqual([...optionsOf("fromPretrained")].sort());
  });

  it("lists the options of run, stream and runBatch, and no others", () => {
    const names = documented("### Options of `run`, `stream` and `runBatch`").filter(
      (name) => name !== "runBatch",
    );
    expect(names.sort()).toEqual([...new Set([...optionsOf("run"), ...optionsOf("runBatch")])].sort());
  });
});

describe("docs/errors.md", () => {
  it("lists every code of Florence2Error once, and no others", () => {
    const codes = [...textOf("core/errors.ts").matchAll(/^ {2}\| "(\w+)"/gm)].map(([, code]) => code!);
    const rows = textOf("docs/errors.md")
      .split("## Troubles")[0]!
      .matchAll(/^\| (`[^|]*) \|/gm);
    const listed = [...rows].flatMap(([, cell]) => [...cell!.matchAll(/`(\w+)`/g)].map(([, code]) => code!));
    expect(codes.length).toBeGreaterThan(20);
    expect(listed.sort()).toEqual(codes.sort());
  });
});

describe("paths in documents", () => {
  it.each(["README.md", "CONTRIBUTING.md", ...documents.filter((file) => file.startsWith("docs/"))])(
    "%s names files and folders that exist",
    (document) => {
      const rooms =
        /`((?:core|kernels|files|tokenizer|model|draw|datasets|eval|commands|apps|tests|bench|scripts|examples|checkpoints)\/[\w./-]*)`/g;
      for (const [, path] of textOf(document).matchAll(rooms))
        expect(existsSync(join(root, path!.replace(/\/NAME\b.*/, ""))), `${path} in ${document}`).toBe(true);
    },
  );
});
