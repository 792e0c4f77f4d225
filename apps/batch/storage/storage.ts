import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { LocalStorage } from "./local.ts";
import { S3Storage } from "./s3.ts";

export interface StoredFile {
  /** Below the root of the storage, with "/". */
  readonly name: string;
  readonly bytes: number;
}

/** Where a run keeps its plan and its results: a folder, or a prefix of a bucket. Names have "/". */
export interface Storage {
  /** As a person, or another machine, names it. */
  readonly url: string;
  /** A path for files that change, on this machine; undefined if the storage has whole objects only. */
  readonly folder: string | undefined;
  /** The whole content; undefined if there is none. */
  read(name: string): Promise<Uint8Array | undefined>;
  has(name: string): Promise<boolean>;
  /** Files directly in a folder, by name. */
  list(folder: string): Promise<StoredFile[]>;
  /** Writes a file that must not be there: whole and safe when this resolves. False if it was there. */
  create(name: string, content: Uint8Array): Promise<boolean>;
  /** Writes a file, or puts it in the place of another, whole. */
  replace(name: string, content: Uint8Array): Promise<void>;
  /** @throws {Florence2Error} `file_not_found` if there is no such bucket; a folder is made when it is written to */
  expectBucket(): Promise<void>;
  /** Does nothing if there is none. */
  remove(name: string): Promise<void>;
}

/** The storage of `s3://bucket/prefix`, a `file:` URL or a path. */
export function openStorage(url: string): Storage {
  if (url.startsWith("s3://")) return new S3Storage(url);
  return new LocalStorage(resolve(url.startsWith("file:") ? fileURLToPath(url) : url));
}
