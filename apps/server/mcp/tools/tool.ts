import type { DetectedObject } from "florence2-webgpu";
import type { z } from "zod";
import type { Picture } from "../pictures.ts";
import type { AskedImage, Visit } from "../visit.ts";

/** The answer of a tool: the same for programs and for people. */
export interface ToolAnswer<Output> {
  readonly structured: Output;
  readonly text: string;
  readonly picture?: Picture | undefined;
}

export interface Tool<Input extends z.ZodObject = z.ZodObject, Output extends z.ZodObject = z.ZodObject> {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Strict: an argument that a caller misspells must not be passed over. */
  readonly input: Input;
  readonly output: Output;
  readonly answer: (args: z.output<Input>, visit: Visit) => Promise<ToolAnswer<z.output<Output>>>;
}

/** Declares a tool; `tools/index.ts` lists it. */
export function defineTool<Input extends z.ZodObject, Output extends z.ZodObject>(
  tool: Tool<Input, Output>,
): Tool {
  // The server checks arguments against `input` before it calls.
  return tool as unknown as Tool;
}

/** @example fieldsOf(image) // { image_id: "img_...", width: 640, height: 480 } */
export const fieldsOf = ({ id, width, height }: AskedImage) => ({ image_id: id, width, height });

/** The text of an answer about an image: the findings, then the size and the id for later calls. */
export function textOf(
  image: AskedImage,
  lines: readonly string[],
  warnings: readonly string[] = [],
): string {
  const head = `${image.width} x ${image.height} pixels, image_id ${image.id}`;
  return [...lines, ...warnings.map((warning) => `Warning: ${warning}`), head].join("\n");
}

export const scoreOf = ({ score }: DetectedObject): number => score ?? 1;
