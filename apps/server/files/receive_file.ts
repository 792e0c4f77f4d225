import { createWriteStream, type WriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { Busboy } from "@fastify/busboy";
import { partsOf } from "../http/body.ts";
import { ApiError, badRequest } from "../http/errors.ts";
import { codeOf, FULL } from "./durable.ts";
import type { FileStore, StoredFile } from "./file_store.ts";

/** Of the folder, which are no fault of the form. */
const UNWRITABLE = ["EACCES", "EPERM", "EROFS", "ENOENT", "ENOTDIR", "EIO", "EMFILE", "ENFILE"];
const PURPOSES = new Set(["batch", "vision", "user_data", "assistants", "fine-tune", "evals"]);
const EXPIRY_SECONDS = { least: 3600, most: 2_592_000 };

/** Writes an upload to the disk as it comes; nothing of it is kept in memory, and nothing is left behind when it fails. */
export async function receiveFile(
  request: Request,
  store: FileStore,
  maxUpload: number,
): Promise<StoredFile> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^multipart\/form-data\b.*\bboundary=/i.test(type) || !request.body)
    throw new ApiError(
      415,
      "unsupported_media_type",
      "Send the file as multipart/form-data with a field purpose.",
    );
  const room = await store.room();
  const limit = Math.min(maxUpload, Math.max(room, 0));
  const tooLarge = () =>
    limit < maxUpload
      ? new ApiError(507, "storage_full", `Only ${limit} bytes are left for files; delete some.`)
      : new ApiError(413, "file_too_large", `The file has more than ${maxUpload} bytes.`);
  if (limit === 0) throw tooLarge();

  const path = await store.temporaryPath();
  const fields = new Map<string, string>();
  let filename: string | undefined;
  let isCut = false;
  let output: WriteStream | undefined;
  let written: Promise<void> | undefined;
  try {
    const form = new Busboy({
      headers: { "content-type": type },
      limits: { files: 1, fileSize: limit, fields: 20, fieldSize: 10_000, parts: 30 },
    });
    form.on("field", (name, value) => fields.set(name, value));
    form.on("file", (name, stream, given) => {
      if (name !== "file") return void stream.resume();
      filename = given || "upload";
      stream.on("limit", () => {
        isCut = true;
      });
      output = createWriteStream(path, { mode: 0o600 });
      written = pipeline(stream, output);
      // It is awaited below, and must not be missed when the form breaks off before.
      written.catch(() => {});
    });
    await pipeline(partsOf(request.body), form);
    await written;
    if (isCut) throw tooLarge();
    if (filename === undefined) throw badRequest("invalid_form", "The form has no file named file.", "file");
    return await store.adopt(path, { filename: filename.slice(0, 255), ...readFields(fields) });
  } catch (error) {
    // A file that is still being opened would come after its removal.
    if (output) await closed(output);
    await rm(path, { force: true });
    if (error instanceof ApiError) throw error;
    if (FULL.includes(codeOf(error)))
      throw new ApiError(507, "storage_full", "The disk is full.", { cause: error });
    if (UNWRITABLE.includes(codeOf(error))) throw error;
    throw badRequest("invalid_form", "The body is not a well-formed multipart/form-data.");
  }
}

function closed(stream: WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) return resolve();
    stream.once("close", resolve).destroy();
  });
}

function readFields(fields: ReadonlyMap<string, string>) {
  const purpose = fields.get("purpose");
  if (!purpose || !PURPOSES.has(purpose))
    throw badRequest("invalid_value", `purpose is one of ${[...PURPOSES].join(", ")}.`, "purpose");
  const text = fields.get("expires_after[seconds]");
  if (text === undefined) return { purpose };
  const expiresAfter = Number(text);
  const { least, most } = EXPIRY_SECONDS;
  if (!Number.isInteger(expiresAfter) || expiresAfter < least || expiresAfter > most)
    throw badRequest("invalid_value", `expires_after[seconds] is from ${least} to ${most}.`, "expires_after");
  return { purpose, expiresAfter };
}
