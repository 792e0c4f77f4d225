import { tasks } from "./all.ts";
import type { Task } from "./task.ts";

export { tasks };

type AnyTask = (typeof tasks)[number];

/** The tags of these tasks. */
export type TaskToken = AnyTask["token"];

/** A tag, a tag with text behind it, or a free prompt. The odd form keeps the tags in an editor's list. */
export type TaskOrPrompt = TaskToken | (string & {});

/** The answer of each task, by its tag. */
export type Answers = { [T in AnyTask as T["token"]]: ReturnType<T["parse"]> };

/** The input of each task, by its tag. */
type Inputs = { [T in AnyTask as T["token"]]: T["input"] };

/** Any answer of the tasks in this list. */
export type Answer = Answers[TaskToken];

/**
 * The answer to a task or prompt: of a task object, its own; of a text, that of the task whose tag it begins with,
 * else text. Of a text that the compiler does not know, any answer.
 */
export type AnswerOf<Asked extends string | Task> = Asked extends { parse: (...rest: never[]) => infer Own }
  ? Own
  : string extends Asked
    ? Answer
    : Asked extends `<${infer Name}>${string}`
      ? `<${Name}>` extends TaskToken
        ? Answers[`<${Name}>`]
        : string
      : string;

/** The input that a task object or a tag alone needs; undefined for any other text, which may hold it. */
export type InputOf<Asked extends string | Task> = Asked extends { readonly input: infer Own }
  ? Own
  : Asked extends TaskToken
    ? Inputs[Asked]
    : undefined;
