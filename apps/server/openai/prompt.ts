import { tasks } from "florence2-webgpu";
import { taskOf } from "../engine/task_names.ts";
import { badRequest } from "../http/errors.ts";
import { decodeBase64 } from "../images/data_url.ts";
import type { ImageReference } from "../images/load_image.ts";
import type { ContentPart, Message } from "./request_schemas.ts";

/** The question of a conversation, and its image. */
export interface Prompt {
  readonly image: ImageReference;
  readonly task: string;
  readonly text: string | readonly string[] | undefined;
}

export interface PromptFields {
  readonly task?: string;
  readonly text?: string | readonly string[];
}

/**
 * Reads a conversation as a task model does. The prompt is the text of the last message of the user; the image is
 * the last one of the user's messages, so that later questions may be about an image sent before. Messages of other
 * roles mean nothing to the model and are passed over.
 */
export function promptOf(
  messages: readonly Message[],
  fields: PromptFields,
  defaultTask: string,
  maxImageBytes: number,
): Prompt {
  const own = messages
    .map((message, i) => ({ ...message, param: `messages[${i}].content` }))
    .filter(({ role }) => role === "user");
  const last = own.at(-1);
  if (!last) throw badRequest("message_missing", "There is no message of the user.", "messages");
  const withImage = own
    .map(({ content, param }) => ({ images: imagesOf(content, param, maxImageBytes), param }))
    .filter(({ images }) => images.length > 0)
    .at(-1);
  if (!withImage)
    throw badRequest(
      "image_missing",
      "No message has an image: add a part of type image_url to the last one.",
      last.param,
    );
  if (withImage.images.length > 1)
    throw badRequest(
      "too_many_images",
      `A message has ${withImage.images.length} images; a question is about one. Send one request for each.`,
      withImage.param,
    );
  return { image: withImage.images[0]!, ...questionOf(textOf(last.content), fields, defaultTask) };
}

/** The task that fields name goes before a tag at the beginning of the text; without either, the text is a free prompt. */
export function questionOf(
  written: string,
  fields: PromptFields,
  defaultTask: string,
): Pick<Prompt, "task" | "text"> {
  const trimmed = written.trim();
  const tag = tasks.find(({ token }) => trimmed.startsWith(token))?.token;
  const behind = (tag ? trimmed.slice(tag.length) : trimmed).trim();
  const text = fields.text ?? (behind || undefined);
  if (fields.task) return { task: taskOf(fields.task), text };
  if (tag) return { task: tag, text };
  if (trimmed) return { task: trimmed, text: fields.text };
  return { task: taskOf(defaultTask), text: fields.text };
}

function textOf(content: Message["content"]): string {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => (isText(part) ? part.text : "")).join("");
}

const isText = (part: ContentPart): part is ContentPart & { text: string } =>
  ["text", "input_text"].includes(part.type) && typeof part.text === "string";

function imagesOf(content: Message["content"], param: string, maxImageBytes: number): ImageReference[] {
  if (typeof content === "string" || !content) return [];
  return content.flatMap((part, i) => {
    const image = imageOf(part as Record<string, unknown>, `${param}[${i}]`, maxImageBytes);
    return image ? [image] : [];
  });
}

function imageOf(
  part: Record<string, unknown>,
  param: string,
  maxImageBytes: number,
): ImageReference | undefined {
  if (part.type === "image_url" || part.type === "input_image") {
    const { image_url: given, file_id: fileId } = part;
    const url = typeof given === "string" ? given : (given as { url?: unknown } | undefined)?.url;
    if (typeof url === "string") return { url, param: `${param}.image_url` };
    if (typeof fileId === "string") return { fileId, param: `${param}.file_id` };
    throw badRequest("image_missing", "The part names no image: it needs image_url or file_id.", param);
  }
  if (part.type === "file") {
    const { file_id: fileId, file_data: data } = part.file as { file_id?: string; file_data?: string };
    if (fileId) return { fileId, param: `${param}.file.file_id` };
    if (data?.startsWith("data:")) return { url: data, param: `${param}.file.file_data` };
    if (data) return { bytes: decodeBase64(data, maxImageBytes, `${param}.file.file_data`), param };
    throw badRequest("image_missing", "The part names no file: it needs file_id or file_data.", param);
  }
  if (part.type === "input_audio")
    throw badRequest("unsupported_parameter", "The model does not hear.", param);
  return undefined;
}
