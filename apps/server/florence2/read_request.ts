import { type BodyLimits, readBody, readJson, validate } from "../http/body.ts";
import { ApiError, badRequest } from "../http/errors.ts";
import { decodeBase64 } from "../images/data_url.ts";
import type { ImageReference } from "../images/load_image.ts";
import { type Florence2Request, florence2Request, optionsSchema } from "./schemas.ts";

export interface ReadRequest {
  readonly image: ImageReference;
  readonly fields: Omit<Florence2Request, "image">;
}

type Limits = BodyLimits & { readonly maxImageBytes: number };

/**
 * A request in one of three forms: JSON; `multipart/form-data` with a file `image`; or the image itself as the body,
 * with the other fields in the query. The last is for `curl --data-binary`.
 */
export async function readRequest(request: Request, limits: Limits): Promise<ReadRequest> {
  const type = request.headers.get("content-type") ?? "";
  if (/json/i.test(type)) {
    return requestOf(await readJson(request, limits), limits);
  }
  if (/^multipart\/form-data/i.test(type)) {
    const form = await readForm(request, type, limits);
    const image = form.get("image");
    form.delete("image");
    const fields = fieldsOf(form as unknown as URLSearchParams);
    if (image instanceof Blob) return { image: await upload(image), fields };
    if (typeof image === "string") return { image: referenceOf(image, limits.maxImageBytes), fields };
    throw badRequest("image_missing", "The form has no file named image.", "image");
  }
  if (/^image\/|octet-stream|x-www-form-urlencoded/i.test(type) || type === "") {
    const bytes = await readBody(request, limits);
    return { image: { bytes, param: "image" }, fields: fieldsOf(new URL(request.url).searchParams) };
  }
  throw new ApiError(
    415,
    "unsupported_media_type",
    "Send application/json, multipart/form-data, or an image as the body.",
  );
}

/** A request as JSON has it. */
export function requestOf(body: unknown, { maxImageBytes }: Pick<Limits, "maxImageBytes">): ReadRequest {
  const { image, ...fields } = validate(florence2Request, body);
  return { image: referenceOf(image, maxImageBytes), fields };
}

const upload = async (image: Blob): Promise<ImageReference> => ({
  bytes: new Uint8Array(await image.arrayBuffer()),
  param: "image",
});

async function readForm(request: Request, type: string, limits: Limits): Promise<FormData> {
  const body = await readBody(request, limits);
  try {
    return await new Response(body as Uint8Array<ArrayBuffer>, {
      headers: { "content-type": type },
    }).formData();
  } catch {
    throw badRequest("invalid_form", "The body is not a well-formed multipart/form-data.");
  }
}

function referenceOf(image: Florence2Request["image"], maxImageBytes: number): ImageReference {
  if (typeof image !== "string") {
    if ("url" in image) return { url: image.url, param: "image.url" };
    if ("file_id" in image) return { fileId: image.file_id, param: "image.file_id" };
    return { bytes: decodeBase64(image.data, maxImageBytes, "image.data"), param: "image.data" };
  }
  return image.startsWith("file-") ? { fileId: image, param: "image" } : { url: image, param: "image" };
}

const OPTION_NAMES = new Set(Object.keys(optionsSchema.shape));
const LISTS = new Set(["tasks", "text"]);

/** Fields of a form or a query, which are all text: numbers and regions are read, repeated names are lists. */
function fieldsOf(given: URLSearchParams): ReadRequest["fields"] {
  const fields: Record<string, unknown> = {};
  const options: Record<string, unknown> = {};
  for (const name of new Set(given.keys())) {
    const values = given.getAll(name);
    if (OPTION_NAMES.has(name)) options[name] = Number(values.at(-1));
    else if (name === "region") fields.region = values.at(-1)!.split(",").map(Number);
    else if (name === "tasks") fields.tasks = values.flatMap((value) => value.split(","));
    else fields[name] = LISTS.has(name) && values.length > 1 ? values : values.at(-1);
  }
  if (Object.keys(options).length > 0) fields.options = options;
  return validate(florence2Request.omit({ image: true }), fields);
}
