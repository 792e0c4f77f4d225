import { Client, InMemoryTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as EarlierClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as EarlierTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { McpServer } from "@modelcontextprotocol/server";
import type { TestService } from "./service.ts";

const MCP = new URL("http://localhost/mcp");
/** Milliseconds that an answer may take on a busy machine. */
const PATIENCE = 600_000;
const identity = { name: "test", version: "0" };

export interface ToolResult {
  readonly isError?: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: tests say what they expect.
  readonly structuredContent?: any;
  // biome-ignore lint/suspicious/noExplicitAny: tests say what they expect.
  readonly content: readonly any[];
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onprogress?: (progress: { progress: number; message?: string }) => void;
}

/** What tests need of either client. */
export interface McpClient {
  readonly protocol: string | undefined;
  readonly instructions: string | undefined;
  listTools(): Promise<readonly { name: string; [field: string]: unknown }[]>;
  call(name: string, args: Record<string, unknown>, options?: CallOptions): Promise<ToolResult>;
  close(): Promise<void>;
}

const fetchOf = (service: TestService) => async (url: string | URL | Request, init?: RequestInit) =>
  service.app.request(url instanceof Request ? url : String(url), init);

/** The client of today's SDK, which speaks the protocol of 2026. */
export async function connectClient(service: TestService, init?: RequestInit): Promise<McpClient> {
  const client = new Client(identity, { versionNegotiation: { mode: "auto" } });
  const transport = new StreamableHTTPClientTransport(MCP, { fetch: fetchOf(service), requestInit: init });
  await client.connect(transport);
  return wrapped(client);
}

/** A client beside a server, without any wire. */
export async function connectTo(server: McpServer): Promise<McpClient> {
  const client = new Client(identity);
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  await server.connect(theirs);
  await client.connect(ours);
  return wrapped(client);
}

function wrapped(client: Client): McpClient {
  return {
    protocol: client.getNegotiatedProtocolVersion(),
    instructions: client.getInstructions(),
    listTools: async () => (await client.listTools()).tools,
    call: async (name, args, options) =>
      (await client.callTool({ name, arguments: args }, { timeout: PATIENCE, ...options })) as ToolResult,
    close: () => client.close(),
  };
}

/** The client of the SDK before, which speaks the protocol of 2025. */
export async function connectEarlierClient(service: TestService): Promise<McpClient> {
  const client = new EarlierClient(identity);
  const transport = new EarlierTransport(MCP, { fetch: fetchOf(service) });
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  return {
    protocol: transport.protocolVersion,
    instructions: client.getInstructions(),
    listTools: async () => (await client.listTools()).tools,
    call: async (name, args, options) =>
      (await client.callTool({ name, arguments: args }, undefined, {
        timeout: PATIENCE,
        ...options,
      })) as ToolResult,
    close: () => client.close(),
  };
}
