import { Florence2Error } from "florence2-webgpu";
import { S3mini, S3ServiceError } from "s3mini";
import type { Storage, StoredFile } from "./storage.ts";

/** Tries of one request to a service that is busy or out of reach, with pauses that grow from the first one. */
const TRIES = 6;
const FIRST_PAUSE = 200;
const PAGE = 1000;

/**
 * A prefix of a bucket. The service and the keys are those of the environment, by the names that other programs use:
 * `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`.
 */
export class S3Storage implements Storage {
  readonly folder = undefined;
  readonly url: string;
  readonly #prefix: string;
  readonly #client: S3mini;

  constructor(url: string) {
    this.url = url.replace(/\/+$/, "");
    const { bucket, key } = parseS3Url(this.url);
    this.#prefix = key === "" ? "" : `${key}/`;
    this.#client = clientOf(bucket);
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    const content = await this.#ask(`read ${name}`, () => this.#client.getObjectArrayBuffer(this.#key(name)));
    return content === null ? undefined : new Uint8Array(content);
  }

  async has(name: string): Promise<boolean> {
    return (await this.#ask(`look for ${name}`, () => this.#client.objectExists(this.#key(name)))) === true;
  }

  async list(folder: string): Promise<StoredFile[]> {
    const prefix = folder === "" ? this.#prefix : this.#key(`${folder}/`);
    const files: StoredFile[] = [];
    let token: string | undefined;
    do {
      const page = await this.#page(folder || "its objects", prefix, PAGE, token);
      for (const { Key, Size } of page.objects ?? [])
        files.push({ name: Key.slice(this.#prefix.length), bytes: Number(Size) });
      token = page.nextContinuationToken;
    } while (token);
    return files;
  }

  async expectBucket(): Promise<void> {
    await this.#page("its objects", this.#prefix, 1);
  }

  async #page(what: string, prefix: string, count: number, token?: string) {
    const page = await this.#ask(`list ${what}`, () =>
      this.#client.listObjectsPaged("/", prefix, count, token),
    );
    if (page) return page;
    const { bucket } = parseS3Url(this.url);
    const message = `There is no bucket ${bucket} (${this.url}).${remedyOf(404)}`;
    throw new Florence2Error("file_not_found", message, { url: this.url, bucket });
  }

  async create(name: string, content: Uint8Array): Promise<boolean> {
    try {
      await this.#put(name, content, { "If-None-Match": "*" });
      return true;
    } catch (error) {
      // Another worker was first; or an earlier try of this one, whose answer was lost.
      if (statusOf(error) === 412) return false;
      throw error;
    }
  }

  async replace(name: string, content: Uint8Array): Promise<void> {
    await this.#put(name, content, {});
  }

  async remove(name: string): Promise<void> {
    await this.#ask(`remove ${name}`, () => this.#client.deleteObject(this.#key(name)));
  }

  async #put(name: string, content: Uint8Array, headers: Readonly<Record<string, string>>): Promise<void> {
    const type = "application/octet-stream";
    await this.#ask(`write ${name}`, () =>
      this.#client.putObject(this.#key(name), Buffer.from(content), type, undefined, headers as never),
    );
  }

  #key = (name: string): string => `${this.#prefix}${name}`;

  /** Asks again while the service is busy; 409 is its word for a write of the same name at the same time. */
  async #ask<Value>(what: string, ask: () => Promise<Value>): Promise<Value> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask();
      } catch (error) {
        const status = statusOf(error);
        if (status === 412) throw error;
        const isPassing = status === undefined || status >= 500 || status === 429 || status === 409;
        if (isPassing && attempt < TRIES) {
          const pause = FIRST_PAUSE * 2 ** (attempt - 1) * (0.5 + Math.random());
          await new Promise((wake) => setTimeout(wake, pause));
          continue;
        }
        const reason = status === undefined ? (error as Error).message : `answer ${status}`;
        const remedy = remedyOf(status);
        const message = `${this.url}: could not ${what} (${reason}, ${attempt} tries).${remedy}`;
        const code = status === 403 ? "access_denied" : "download_failed";
        throw new Florence2Error(code, message, { url: this.url, status }, error);
      }
    }
  }
}

/** `parseS3Url("s3://photos/2026/a.jpg")` → bucket photos, key 2026/a.jpg */
export function parseS3Url(url: string): { readonly bucket: string; readonly key: string } {
  const [, bucket, key = ""] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(url) ?? [];
  if (bucket) return { bucket, key };
  throw new Florence2Error("option_invalid", `${url} names no bucket; expected s3://bucket/prefix.`, { url });
}

function clientOf(bucket: string): S3mini {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL } =
    process.env;
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY) {
    const message =
      "s3:// needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, and AWS_ENDPOINT_URL for a service other than AWS.";
    throw new Florence2Error("access_denied", message, { bucket });
  }
  const region = AWS_REGION ?? AWS_DEFAULT_REGION ?? "us-east-1";
  const service = AWS_ENDPOINT_URL ?? `https://s3.${region}.amazonaws.com`;
  return new S3mini({
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    endpoint: `${service.replace(/\/+$/, "")}/${bucket}`,
    region,
  });
}

function remedyOf(status: number | undefined): string {
  if (status === 403) return " Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.";
  if (status === 404) return " Check the name of the bucket, AWS_REGION and AWS_ENDPOINT_URL.";
  return status === undefined ? " Check AWS_ENDPOINT_URL and the network." : " Try again later.";
}

const statusOf = (error: unknown): number | undefined =>
  error instanceof S3ServiceError ? error.status : undefined;
