import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("./fake_server.mjs", import.meta.url));

export interface StartedServer {
  readonly url: string;
  readonly process: ChildProcess;
  readonly ended: Promise<number | string>;
}

/** florence2-server in a process of its own, on an engine without a model. */
export async function startServer(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<StartedServer> {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, ...env },
  });
  const ended = new Promise<number | string>((done) =>
    child.once("exit", (code, signal) => done(code ?? signal!)),
  );
  const port = await new Promise<number>((ready, fail) => {
    child.stdout.setEncoding("utf8").once("data", (text: string) => ready(Number.parseInt(text, 10)));
    void ended.then((code) => fail(new Error(`the server ended with ${code}`)));
  });
  return { url: `http://127.0.0.1:${port}`, process: child, ended };
}

/** Uploads requests of /v1/florence2, one for each text, and makes a batch of them. Resolves to its id. */
export async function makeBatch(url: string, texts: readonly string[]): Promise<string> {
  const endpoint = "/v1/florence2";
  const image = "data:image/png;base64,iVBORw0KGgo=";
  const lines = texts.map((text, i) => {
    const body = { image, task: "<CAPTION_TO_PHRASE_GROUNDING>", text };
    return JSON.stringify({ custom_id: `line-${i}`, method: "POST", url: endpoint, body });
  });
  const form = new FormData();
  form.set("purpose", "batch");
  form.set("file", new Blob([`${lines.join("\n")}\n`]), "lines.jsonl");
  const file = await answerOf(fetch(`${url}/v1/files`, { method: "POST", body: form }));
  const made = fetch(`${url}/v1/batches`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ input_file_id: file.id, endpoint, completion_window: "24h" }),
  });
  return (await answerOf(made)).id;
}

/** A batch as a server tells of it. */
export const readBatch = (url: string, id: string) => answerOf(get(`${url}/v1/batches/${id}`));

/** By a connection of its own: one that was kept may have ended while this machine was busy. */
const get = (url: string) => fetch(url, { headers: { connection: "close" } });

/** The lines of a file of a server. */
export async function readLines(url: string, id: string | null) {
  if (id === null) return [];
  const text = await (await get(`${url}/v1/files/${id}/content`)).text();
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

// biome-ignore lint/suspicious/noExplicitAny: tests say what they expect.
async function answerOf(request: Promise<Response>): Promise<any> {
  const response = await request;
  const answer = await response.json();
  if (!response.ok) throw new Error(JSON.stringify(answer));
  return answer;
}
