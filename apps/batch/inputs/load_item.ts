import { open } from "node:fs/promises";
import { Florence2Error, type ImageInput } from "florence2-webgpu";
import type { LoadItem } from "../chunk/compute.ts";
import type { Item } from "../plan/plan.ts";
import { parseS3Url } from "../storage/s3.ts";
import { openStorage, type Storage } from "../storage/storage.ts";

/** Downloads a URL of http or https. */
export type FetchUrl = (url: string, signal: AbortSignal) => Promise<Uint8Array>;

/** Gets images from wherever items say they are; a local file is left to the model, which reads it within its limits. */
export function itemLoader(fetchUrl: FetchUrl): LoadItem {
  const buckets = new Map<string, Storage>();
  return async ({ url, key }: Item, signal: AbortSignal): Promise<ImageInput> => {
    if (/^https?:/i.test(url)) return fetchUrl(url, signal);
    if (url.startsWith("tar://")) return readEntry(url);
    if (!url.startsWith("s3://")) return url;
    const { bucket, key: name } = parseS3Url(url);
    const storage = buckets.get(bucket) ?? openStorage(`s3://${bucket}`);
    buckets.set(bucket, storage);
    const content = await storage.read(name);
    if (content) return content;
    throw new Florence2Error("file_not_found", `${key} is no longer in the bucket ${bucket}.`, { url });
  };
}

async function readEntry(url: string): Promise<Uint8Array> {
  const [, path, offset, size] = /^tar:\/\/(.*)#(\d+)\+(\d+)$/.exec(url) ?? [];
  try {
    const file = await open(path!, "r");
    try {
      const bytes = new Uint8Array(Number(size));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, Number(offset));
      if (bytesRead < bytes.length) throw new Error("the file is shorter than when the run was planned");
      return bytes;
    } finally {
      await file.close();
    }
  } catch (error) {
    const message = `${path} cannot be read: ${(error as Error).message}`;
    throw new Florence2Error("file_unreadable", message, { path }, error);
  }
}
