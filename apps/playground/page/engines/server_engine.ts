import { Failure } from "../failure.ts";
import type { AskedImage, Engine, Listener, ModelFacts, Question, Reply, Times } from "./engine.ts";

/** A florence2-server, and the key that it wants. */
export interface ServerAddress {
  /** Without a path, such as `http://127.0.0.1:8000`. */
  readonly origin: string;
  /** Kept in memory alone. */
  readonly key: string;
}

/** Milliseconds between questions whether a server has loaded its model. */
const LOADING_PAUSE = 1000;

/** A florence2-server, asked over HTTP. */
export class ServerEngine implements Engine {
  readonly place = "server";
  readonly facts: ModelFacts;
  readonly address: ServerAddress;

  /** Waits until the server has its model. */
  static async connect(
    address: ServerAddress,
    onWaiting: (status: string) => void,
    signal: AbortSignal,
  ): Promise<ServerEngine> {
    for (;;) {
      const version = (await (await request(address, "/version", { signal })).json()) as Version;
      if (version.name !== "florence2-server") throw noServer(address);
      if (version.device) return new ServerEngine(address, version as Required<Version>);
      onWaiting("The server is loading its model.");
      await new Promise((resolve) => setTimeout(resolve, LOADING_PAUSE));
      signal.throwIfAborted();
    }
  }

  private constructor(address: ServerAddress, { model, device }: Required<Version>) {
    this.address = address;
    this.facts = { model, device: device!.name, deviceKind: device!.kind };
  }

  async ask(image: AskedImage, question: Question, listener: Listener, signal: AbortSignal): Promise<Reply> {
    const start = performance.now();
    listener.onLooked();
    const response = await request(this.address, "/v1/florence2", {
      method: "POST",
      body: formOf(image, question),
      signal,
    });
    const { results, usage, timings } = (await response.json()) as ServerReply;
    const { answer, text, objects, width, height, finish_reason, warnings = [] } = results[0]!;
    // The server's text of places has their boxes in it; the page shows them itself.
    const labels = objects.map(({ label }) => label).filter(Boolean);
    return {
      answer,
      text: typeof answer === "string" ? text : labels.join("\n"),
      objects,
      width,
      height,
      tokens: usage.completion_tokens,
      finishReason: finish_reason,
      warnings,
      times: timesOf(performance.now() - start, usage, timings),
    };
  }

  close(): void {}
}

interface Version {
  readonly name?: string;
  readonly model: string;
  readonly device: { readonly kind: "gpu" | "cpu"; readonly name: string } | null;
}

interface ServerReply {
  readonly results: readonly (Pick<Reply, "answer" | "text" | "objects" | "width" | "height"> & {
    readonly finish_reason: Reply["finishReason"];
    readonly warnings?: readonly string[];
  })[];
  readonly usage: {
    readonly completion_tokens: number;
    readonly prompt_tokens_details: { readonly cached_tokens: number; readonly image_tokens: number };
  };
  readonly timings?: { readonly image_ms: number; readonly answers_ms: number };
}

/** @param all milliseconds from the question to the answer */
function timesOf(
  all: number,
  { prompt_tokens_details }: ServerReply["usage"],
  told: ServerReply["timings"],
): Times {
  if (!told) return { answer: all };
  const { image_ms: image, answers_ms: answer } = told;
  const isSeen = prompt_tokens_details.cached_tokens === prompt_tokens_details.image_tokens;
  return { ...(!isSeen && { image }), answer, way: Math.max(0, all - image - answer) };
}

/** The question as a form, which takes every image without a detour over base64. */
function formOf({ blob, name }: AskedImage, { task, text, region }: Question): FormData {
  const form = new FormData();
  form.set("image", blob, name);
  form.set("task", task);
  for (const one of text === undefined ? [] : [text].flat()) form.append("text", one);
  if (region) form.set("region", region.join(","));
  return form;
}

async function request(address: ServerAddress, path: string, init: RequestInit): Promise<Response> {
  const { origin, key } = address;
  const headers = { ...(key && { authorization: `Bearer ${key}` }) };
  let response: Response;
  try {
    response = await fetch(new URL(path, origin), { ...init, headers });
  } catch (error) {
    init.signal?.throwIfAborted();
    const message = `${origin} does not answer (${(error as Error).message}).`;
    throw new Failure("server_unreachable", message);
  }
  if (response.ok) {
    if (!/json/.test(response.headers.get("content-type") ?? "")) throw noServer(address);
    return response;
  }
  const body = await response.json().catch(() => undefined);
  const { code, message } = body?.error ?? {};
  if (typeof code !== "string") throw response.status === 404 ? noServer(address) : refused(response);
  throw new Failure(code, String(message));
}

const noServer = ({ origin }: ServerAddress) =>
  new Failure("no_server", `${origin} answers, but is no florence2-server.`);
const refused = ({ status, url }: Response) =>
  new Failure("server_failed", `${new URL(url).origin} answered with status ${status}.`);
