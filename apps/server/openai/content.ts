import type { Sequence } from "../engine/engine.ts";
import { badRequest } from "../http/errors.ts";
import { answerSchema, type JsonSchema, objectsSchema } from "./answer_schemas.ts";
import { readableText } from "./answers.ts";
import { misfit, project } from "./schema_fit.ts";

export type ResponseFormat =
  | { readonly type: "text" }
  | { readonly type: "json_object" }
  | { readonly type: "json_schema"; readonly schema: JsonSchema };

/** The `message.content` of an answer. */
export type Render = (sequence: Sequence) => string;

const TEXT_SCHEMA = answerSchema("<CAPTION>");

/** An answer as JSON: one in words becomes `{ text }`. */
export const jsonOf = (sequence: Sequence): unknown =>
  typeof sequence.answer === "string" ? { text: readableText(sequence) } : sequence.answer;

/**
 * How the answers to a task become content. A schema must be one that every answer to the task satisfies, whole or
 * in part, or its objects, or its readable text: the model cannot be made to answer otherwise.
 *
 * @throws {ApiError} 400 `json_schema_unsupported`, with the schema of the task
 */
export function renderFor(format: ResponseFormat, tag: string, param: string): Render {
  if (format.type === "text") return readableText;
  if (format.type === "json_object") return (sequence) => JSON.stringify(jsonOf(sequence));
  const { schema } = format;
  const own = answerSchema(tag);
  const forms: readonly (readonly [JsonSchema, (sequence: Sequence) => unknown])[] = [
    [own, jsonOf],
    [objectsSchema, ({ objects }) => ({ objects })],
    [TEXT_SCHEMA, (sequence) => ({ text: readableText(sequence) })],
  ];
  const reasons: string[] = [];
  for (const [given, make] of forms) {
    const reason = misfit(given, schema);
    if (!reason) return (sequence) => JSON.stringify(project(make(sequence), schema));
    reasons.push(reason);
  }
  throw badRequest(
    "json_schema_unsupported",
    `Answers to ${tag} do not satisfy the schema (${reasons[0]}). They satisfy ${JSON.stringify(own)} and ${JSON.stringify(objectsSchema)}.`,
    param,
  );
}
