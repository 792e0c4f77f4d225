import { type CallToolResult, McpServer, type ServerContext } from "@modelcontextprotocol/server";
import { BUNDLED_MODEL_WARNING } from "../engine/florence2_engine.ts";
import { ClientGone, toApiError } from "../http/errors.ts";
import { describeCause } from "../http/log.ts";
import { version } from "../operations/version.ts";
import type { Picture } from "./pictures.ts";
import { tools } from "./tools/index.ts";
import type { Tool, ToolAnswer } from "./tools/tool.ts";
import { type Note, type ToolParts, Visit } from "./visit.ts";

const INSTRUCTIONS = `Florence-2 looks at images on this machine: descriptions, objects, text, outlines, regions.
Boxes are { x1, y1, x2, y2 } in pixels of the upright image. Every answer has an image_id: give it as the image of later calls, which saves sending and looking at the image again. To see a detail, crop first, then ask about the crop's image_id.`;

/** More than any call of these tools has, and few enough to check at once. */
const MAX_INPUT_ELEMENTS = 10_000;

/**
 * A server of the Model Context Protocol with all tools, for one request or one connection: their shared state is in
 * `parts`.
 *
 * @param record takes the fields of a call's log line when the call is over; never images, prompts or paths
 */
export function createMcpServer(parts: ToolParts, record: Note): McpServer {
  const instructions = parts.isBundled ? `${INSTRUCTIONS}\n${BUNDLED_MODEL_WARNING}` : INSTRUCTIONS;
  const server = new McpServer(
    { name: "florence2", title: "Florence-2", version },
    { capabilities: { tools: {} }, instructions, maxToolInputElements: MAX_INPUT_ELEMENTS },
  );
  for (const tool of tools) {
    const { name, title, description, input, output } = tool;
    server.registerTool(
      name,
      {
        title,
        description,
        inputSchema: input,
        outputSchema: output,
        // URLs lead out of this machine.
        annotations: {
          readOnlyHint: true,
          destructiveHint: false,
          idempotentHint: true,
          openWorldHint: true,
        },
      },
      (args, context) => call(tool, args, context, parts, record),
    );
  }
  return server;
}

async function call(
  tool: Tool,
  args: Parameters<Tool["answer"]>[0],
  context: ServerContext,
  parts: ToolParts,
  record: Note,
): Promise<CallToolResult> {
  const begin = performance.now();
  const fields: Record<string, unknown> = { tool: tool.name };
  const end = (code: string, error?: string) =>
    record({ ...fields, code, ...(error && { error }), tool_ms: Math.round(performance.now() - begin) });
  const visit = new Visit(parts, context, (more) => Object.assign(fields, more));
  try {
    const answer = await tool.answer(args, visit);
    end("ok");
    return resultOf(answer);
  } catch (error) {
    const { code, message, status, cause } = toApiError(visit.signal.aborted ? new ClientGone() : error);
    end(code, status >= 500 && cause !== undefined ? describeCause(cause) : undefined);
    return { isError: true, content: [{ type: "text", text: `${message} (${code})` }] };
  }
}

function resultOf({ structured, text, picture }: ToolAnswer<Record<string, unknown>>): CallToolResult {
  return {
    structuredContent: structured,
    content: [{ type: "text", text }, ...(picture ? [imageContent(picture)] : [])],
  };
}

const imageContent = ({ data, mimeType }: Picture) => ({
  type: "image" as const,
  data: Buffer.from(data).toString("base64"),
  mimeType,
  annotations: { audience: ["user" as const, "assistant" as const], priority: 0.5 },
});
