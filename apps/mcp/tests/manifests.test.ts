import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { tools } from "florence2-server/mcp";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { readMcpSettings } from "../settings.ts";

const app = fileURLToPath(new URL("..", import.meta.url));
const json = (name: string) => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), "utf8"));
const published = json("package.json");

/** Both manifests by what their published schemas allow; unknown keys are errors. */
const command = {
  command: z.string(),
  args: z.array(z.string()).optional(),
  env: z.record(z.string(), z.string()).optional(),
};
/** MCPB manifest 0.3 (schemas/mcpb-manifest-v0.3.schema.json of @anthropic-ai/mcpb), the keys that are used here. */
const bundleSchema = z.strictObject({
  manifest_version: z.literal("0.3"),
  name: z.string(),
  display_name: z.string().optional(),
  version: z.string(),
  description: z.string(),
  long_description: z.string().optional(),
  author: z.strictObject({ name: z.string(), email: z.email().optional(), url: z.url().optional() }),
  license: z.string().optional(),
  keywords: z.array(z.string()).optional(),
  server: z.strictObject({
    type: z.enum(["python", "node", "binary"]),
    entry_point: z.string(),
    mcp_config: z.strictObject({
      ...command,
      platform_overrides: z.record(z.string(), z.strictObject(command).partial()).optional(),
    }),
  }),
  tools: z.array(z.strictObject({ name: z.string(), description: z.string().optional() })).optional(),
  user_config: z
    .record(
      z.string(),
      z.strictObject({
        type: z.enum(["string", "number", "boolean", "directory", "file"]),
        title: z.string(),
        description: z.string(),
        required: z.boolean().optional(),
        default: z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]).optional(),
        multiple: z.boolean().optional(),
        sensitive: z.boolean().optional(),
        min: z.number().optional(),
        max: z.number().optional(),
      }),
    )
    .optional(),
  compatibility: z
    .strictObject({
      claude_desktop: z.string().optional(),
      platforms: z.array(z.enum(["darwin", "win32", "linux"])).optional(),
      runtimes: z.strictObject({ python: z.string().optional(), node: z.string().optional() }).optional(),
    })
    .optional(),
});

const input = {
  description: z.string().optional(),
  isRequired: z.boolean().optional(),
  isSecret: z.boolean().optional(),
  format: z.enum(["string", "number", "boolean", "filepath"]).optional(),
  value: z.string().optional(),
  default: z.string().optional(),
  placeholder: z.string().optional(),
  choices: z.array(z.string()).optional(),
  isRepeated: z.boolean().optional(),
};
const argument = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("named"), name: z.string(), ...input }),
  z
    .strictObject({ type: z.literal("positional"), valueHint: z.string().optional(), ...input })
    .refine(({ value, valueHint }) => value !== undefined || valueHint !== undefined),
]);
const exactVersion = z.string().regex(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
/** The registry's server.schema.json of 2025-12-11, for a package of npm. */
const registrySchema = z.strictObject({
  $schema: z.literal("https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"),
  name: z
    .string()
    .min(3)
    .max(200)
    .regex(/^[a-zA-Z0-9.-]+\/[a-zA-Z0-9._-]+$/),
  title: z.string().min(1).max(100).optional(),
  description: z.string().min(1).max(100),
  version: exactVersion,
  packages: z.array(
    z.strictObject({
      registryType: z.literal("npm"),
      identifier: z.string(),
      version: exactVersion,
      runtimeHint: z.string(),
      runtimeArguments: z.array(argument).optional(),
      packageArguments: z.array(argument).optional(),
      transport: z.strictObject({ type: z.literal("stdio") }),
    }),
  ),
});

/** Arguments as a host writes them: a variable that is a list becomes an argument each. */
function filled(args: readonly string[], values: Readonly<Record<string, string | readonly string[]>>) {
  return args.flatMap((arg) => {
    const whole = values[/^\$\{user_config\.(\w+)\}$/.exec(arg)?.[1] ?? ""];
    return whole ?? arg.replace(/\$\{__dirname\}/, "/bundle");
  });
}

describe("manifest.json, of a bundle", () => {
  const manifest = bundleSchema.parse(json("manifest.json"));
  const { server, user_config: config = {} } = manifest;

  it("tells what the package and its tools tell", () => {
    const { name, version, license, engines } = published;
    expect(manifest).toMatchObject({ name, version, license });
    expect(manifest.compatibility?.runtimes?.node).toBe(engines.node);
    expect(manifest.tools?.map((tool) => tool.name)).toEqual(tools.map((tool) => tool.name));
    expect(`./${server.entry_point}`).toBe(published.bin["florence2-mcp"]);
  });

  it("starts the program with what a person chose", () => {
    const [main, ...args] = filled(server.mcp_config.args!, {
      model: config.model!.default as string,
      folders: ["/home/me/Pictures", "/home/me/Scans"],
    });
    expect(main).toBe(`/bundle/${server.entry_point}`);
    const { settings, roots } = readMcpSettings(args, {}, "/");
    expect(settings.model).toBe("microsoft/Florence-2-base");
    expect(roots).toEqual(["/home/me/Pictures", "/home/me/Scans"]);
    const used = server.mcp_config.args!.flatMap((arg) => /user_config\.(\w+)/.exec(arg)?.[1] ?? []);
    expect(used.sort()).toEqual(Object.keys(config).sort());
  });
});

describe("server.json, of the registry", () => {
  const entry = registrySchema.parse(json("server.json"));
  const [npm] = entry.packages as [(typeof entry.packages)[0]];

  it("tells what the package tells", () => {
    expect(entry.version).toBe(published.version);
    expect(npm).toMatchObject({ identifier: published.name, version: published.version });
    // The registry compares both before it lists a package.
    expect(entry.name).toBe(published.mcpName);
  });

  it("starts the program with arguments that it has", () => {
    const args = npm.packageArguments!.flatMap((one) =>
      one.type === "named" ? [one.name, one.default ?? "/home/me/Pictures"] : [one.value!],
    );
    const { settings, roots } = readMcpSettings(args, {}, "/");
    expect(settings.model).toBe("microsoft/Florence-2-base");
    expect(roots).toEqual(["/home/me/Pictures"]);
  });
});

it("carries both in its package", () => {
  const options = { cwd: app, encoding: "utf8", shell: process.platform === "win32" } as const;
  const [{ files }] = JSON.parse(
    execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], options),
  );
  const paths = files.map(({ path }: { path: string }) => path);
  expect(paths).toEqual(expect.arrayContaining(["manifest.json", "server.json", "README.md"]));
});
