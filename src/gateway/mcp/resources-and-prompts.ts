/** Resources and prompts of MCP servers, by the methods that the protocol has for them. Each request is an action that reads, as a call of the tools for them is. */
import {
  ProtocolError,
  ProtocolErrorCode,
  type CallToolResult,
  type GetPromptResult,
  type ListPromptsResult,
  type ListResourcesResult,
  type ListResourceTemplatesResult,
  type ReadResourceResult,
  type Server,
  type ServerContext,
} from '@modelcontextprotocol/server';
import type { CatalogueTool } from '../../action/catalogue.js';
import type { JsonObject } from '../../action/json.js';
import { statusIn } from './answers.js';
import type { Offered } from './offered.js';

/** Calls a tool in the name of the agent. */
export type Call = (offered: Offered, args: JsonObject, ctx: ServerContext) => Promise<CallToolResult>;

type Operation = 'resource.list' | 'resource.read' | 'prompt.list' | 'prompt.get';

interface Listed {
  readonly resources?: ListResourcesResult['resources'];
  readonly resourceTemplates?: ListResourceTemplatesResult['resourceTemplates'];
  readonly prompts?: ListPromptsResult['prompts'];
}

/** @param offered what the agent may name; @param call how it is called */
export function serveResourcesAndPrompts(server: Server, offered: () => Promise<readonly Offered[]>, call: Call): void {
  const reads = new Reads(offered, call);
  server.setRequestHandler('resources/list', async (_request, ctx) => ({
    resources: await reads.listed('resource.list', ctx, ({ resources = [] }) => resources),
  }));
  server.setRequestHandler('resources/templates/list', async (_request, ctx) => ({
    resourceTemplates: await reads.listed('resource.list', ctx, ({ resourceTemplates = [] }) => resourceTemplates),
  }));
  server.setRequestHandler('resources/read', ({ params: { uri } }, ctx) => reads.resource(uri, ctx));
  server.setRequestHandler('prompts/list', async (_request, ctx) => ({
    prompts: await reads.listed('prompt.list', ctx, ({ prompts = [] }, { tool }) =>
      prompts.map((prompt) => ({ ...prompt, name: promptName(tool, prompt.name) })),
    ),
  }));
  server.setRequestHandler('prompts/get', ({ params: { name, arguments: args = {} } }, ctx) =>
    reads.prompt(name, args, ctx),
  );
}

class Reads {
  readonly #offered: () => Promise<readonly Offered[]>;
  readonly #call: Call;

  constructor(offered: () => Promise<readonly Offered[]>, call: Call) {
    this.#offered = offered;
    this.#call = call;
  }

  /** What all servers list, one after the other. */
  async listed<T>(
    operation: Operation,
    ctx: ServerContext,
    of: (document: Listed, from: Offered) => readonly T[],
  ): Promise<T[]> {
    const all: T[] = [];
    for (const each of await this.#that(operation)) {
      const { structuredContent } = await this.#read(each, {}, ctx);
      all.push(...of(structuredContent ?? {}, each));
    }
    return all;
  }

  async resource(uri: string, ctx: ServerContext): Promise<ReadResourceResult> {
    const having = (await this.#that('resource.read')).filter(({ operation }) => {
      const { pattern } = memberOf(operation.arguments, 'uri');
      return typeof pattern === 'string' && new RegExp(pattern).test(uri);
    });
    const { content } = await this.#read(only(having, 'resource'), { uri }, ctx);
    // What is beside the resource says that it was cut.
    const contents = content.map((block) =>
      block.type === 'resource' ? block.resource : { uri, mimeType: 'text/plain', text: textIn(block) },
    );
    return { contents };
  }

  async prompt(name: string, args: Readonly<Record<string, string>>, ctx: ServerContext): Promise<GetPromptResult> {
    const named = (await this.#that('prompt.get')).flatMap((each) => {
      const { enum: names } = memberOf(each.operation.arguments, 'name');
      const own = Array.isArray(names) ? names.filter((one) => promptName(each.tool, String(one)) === name) : [];
      return own.map((prompt) => ({ each, prompt }));
    });
    const { each, prompt } = only(named, 'prompt');
    const { structuredContent } = await this.#read(each, { name: prompt, arguments: args }, ctx);
    return structuredContent as GetPromptResult;
  }

  async #that(operation: Operation): Promise<readonly Offered[]> {
    return (await this.#offered()).filter((each) => each.tool.kind === 'mcp' && each.operation.operation === operation);
  }

  /** @throws ProtocolError with the words that a call of the tool gives, when it was not allowed, failed, or waits for people */
  async #read(offered: Offered, args: JsonObject, ctx: ServerContext): Promise<CallToolResult> {
    const result = await this.#call(offered, args, ctx);
    if (statusIn(result) === 'success') return result;
    const text = result.content.map(textIn).join('\n');
    throw new ProtocolError(ProtocolErrorCode.InvalidRequest, text, result.structuredContent ?? {});
  }
}

/** Two servers may have prompts of one name. */
function promptName({ name, ownNames }: CatalogueTool, prompt: string): string {
  return ownNames === true ? prompt : `${name}_${prompt}`;
}

function only<T>(found: readonly T[], what: string): T {
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first;
  throw new ProtocolError(
    ProtocolErrorCode.InvalidParams,
    first === undefined
      ? `There is no such ${what}, or not for you.`
      : `Several servers have this ${what}: read it with the tool of one of them.`,
  );
}

function memberOf({ properties }: JsonObject, name: string): JsonObject {
  return ((properties as JsonObject | undefined)?.[name] ?? {}) as JsonObject;
}

function textIn(block: CallToolResult['content'][number]): string {
  return block.type === 'text' ? block.text : '';
}
