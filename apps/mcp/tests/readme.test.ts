import { readFileSync } from "node:fs";
import { tools } from "florence2-server/mcp";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { readMcpSettings } from "../settings.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

/** Blocks of a language, each with the line before it. */
const blocksOf = (language: string) =>
  [...readme.matchAll(new RegExp(`([^\\n]+)\\n\\n\`\`\`${language}\\n(.*?)\`\`\``, "gs"))].map(
    ([, title, code]) => [title!, code!] as const,
  );

const program = {
  command: z.string().min(1),
  args: z.array(z.string()),
  env: z.record(z.string(), z.string()).optional(),
};
const named = <T extends z.ZodType>(server: T) => z.record(z.string().regex(/^[\w-]+$/), server);

/** What each client takes, by its documentation; unknown keys are errors, as a client would pass them over. */
const FORMS: Readonly<Record<string, z.ZodType>> = {
  "Claude Desktop": z.strictObject({ mcpServers: named(z.strictObject(program)) }),
  Cursor: z.strictObject({
    mcpServers: named(z.strictObject({ ...program, type: z.literal("stdio").optional() })),
  }),
  "VS Code": z.strictObject({
    servers: named(
      z.discriminatedUnion("type", [
        z.strictObject({ type: z.literal("stdio"), ...program }),
        z.strictObject({
          type: z.literal("http"),
          url: z.url(),
          headers: z.record(z.string(), z.string()).optional(),
        }),
      ]),
    ),
  }),
};

/** Arguments of florence2-mcp behind `npx -y florence2-mcp`. */
function expectOurs(command: string, args: readonly string[]): void {
  expect([command, ...args.slice(0, 2)]).toEqual(["npx", "-y", "florence2-mcp"]);
  const { roots, settings } = readMcpSettings(args.slice(2), {}, "/work");
  expect(roots.length).toBe(1);
  expect(settings.model).toBe("microsoft/Florence-2-base");
}

describe("configurations", () => {
  const blocks = blocksOf("json");

  it("are there for each client", () => {
    for (const client of Object.keys(FORMS)) expect(readme).toContain(`${client} (`);
    expect(blocks.length).toBe(4);
  });

  it.each(blocks)("%s", (title, code) => {
    const client = Object.keys(FORMS).find((name) => title.includes(`${name} (`))!;
    const config = FORMS[client]!.parse(JSON.parse(code)) as Record<
      string,
      Record<string, Record<string, never>>
    >;
    const [{ florence2: server }] = Object.values(config) as [{ florence2: Record<string, never> }];
    if (server.url) expect(server.url).toBe("http://127.0.0.1:8000/mcp");
    else expectOurs(server.command!, server.args!);
  });

  it("the line for Claude Code starts the program", () => {
    const [, line] = /^claude mcp add florence2 -- (.+)$/m.exec(readme)!;
    const [command, ...args] = line!.split(" ");
    expectOurs(command!, args);
  });
});

it("lists every tool in order, with arguments that it has", () => {
  const rows = [...readme.matchAll(/^\| `(\w+)` \| ([^|]+) \|/gm)].map(([, name, takes]) => ({
    name,
    takes: takes!,
  }));
  expect(rows.map(({ name }) => name)).toEqual(tools.map(({ name }) => name));
  for (const [i, { takes }] of rows.entries())
    for (const [, argument] of takes.matchAll(/`(\w+)`/g))
      expect(Object.keys(tools[i]!.input.shape)).toContain(argument);
});
