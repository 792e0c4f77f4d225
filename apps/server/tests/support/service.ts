import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defaultSettings, type Engine, type Settings } from "../../index.ts";
import { createServer, type ServerOptions, type ServerParts } from "../../server.ts";

export const scene = new Uint8Array(
  readFileSync(fileURLToPath(new URL("../../../../examples/scene.png", import.meta.url))),
);
export const sceneUrl = dataUrl(scene);

export function dataUrl(bytes: Uint8Array, type = "image/png"): string {
  return `data:${type};base64,${Buffer.from(bytes).toString("base64")}`;
}

export type LogEntry = Readonly<Record<string, unknown>>;

export interface TestService extends ServerParts {
  readonly logged: LogEntry[];
  request(path: string, init?: RequestInit): Promise<Response>;
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

/** The CPU, which has nothing to compile, and all the time that a busy machine may need. */
export const testSettings = { device: "cpu", requestTimeout: 1_800_000 } as const;

type Options = Omit<ServerOptions, "log"> & { readonly engine?: Engine };

/** A service without a port, on the bundled checkpoint or on another engine, that keeps its log. */
export async function openService(
  settings: Partial<Settings> = {},
  options: Options = {},
): Promise<TestService> {
  const { service, starting } = await openLoading(settings, options);
  await starting;
  return service;
}

/** The same while its model is still loading. */
export async function openLoading(
  settings: Partial<Settings>,
  options: Options,
): Promise<{ readonly service: TestService; readonly starting: Promise<void> }> {
  const logged: LogEntry[] = [];
  const { engine } = options;
  const parts = createServer(
    {
      ...defaultSettings,
      ...testSettings,
      dataDir: mkdtempSync(join(tmpdir(), "florence2-server-")),
      ...settings,
    },
    { ...(engine && { load: async () => engine }), ...options, log: (entry) => logged.push(entry) },
  );
  const starting = parts.start();
  starting.catch(() => {});
  const request = async (path: string, init?: RequestInit) => parts.app.request(path, init);
  const post = (path: string, body: unknown, init: RequestInit = {}) =>
    request(path, {
      ...init,
      method: "POST",
      headers: { "content-type": "application/json", ...(init.headers as Record<string, string>) },
      body: JSON.stringify(body),
    });
  return { service: { ...parts, logged, request, post }, starting };
}

/** A chat request about an image. */
export function chatAbout(text: string, fields: Readonly<Record<string, unknown>> = {}, url = sceneUrl) {
  const content = [
    { type: "text", text },
    { type: "image_url", image_url: { url } },
  ];
  return { model: "florence2-nano", messages: [{ role: "user", content }], ...fields };
}
