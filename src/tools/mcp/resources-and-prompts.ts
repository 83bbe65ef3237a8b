/** Resources and prompts of the server, as operations that read: an agent proposes them as it proposes calls of tools. */
import { ProtocolError, ProtocolErrorCode, type ListResourceTemplatesResult } from '@modelcontextprotocol/client';
import { configInvalid } from '../../action/errors-config.js';
import type { Json, JsonObject } from '../../action/json.js';
import type { Definition } from '../pinnable.js';
import type { McpOptions } from './options.js';
import { resultOf, type McpResult } from './result.js';
import type { Upstream } from './upstream.js';

/** An operation of our own, beside those that are tools of the server. */
export interface ServedRead {
  readonly definition: Definition;
  read(upstream: Upstream, args: JsonObject, signal: AbortSignal): Promise<McpResult>;
}

const MAX_LISTED = 1_000;

/** @throws CountersignError CONFIG_INVALID */
export function servedReads({ resources = [], prompts = [] }: McpOptions): readonly ServedRead[] {
  if (!resources.every((beginning) => /^[a-z][a-z0-9+.-]*:/i.test(beginning))) {
    throw configInvalid('resources', 'beginnings of URIs, such as notes://', "the tool's config");
  }
  return [
    ...(resources.length === 0 ? [] : [listResources(resources), readResource(resources)]),
    ...(prompts.length === 0 ? [] : [listPrompts(prompts), getPrompt(prompts)]),
  ];
}

function listResources(beginnings: readonly string[]): ServedRead {
  const mayBeRead = (uri: string): boolean => beginnings.some((beginning) => uri.startsWith(beginning));
  return {
    definition: definitionOf('resource.list', 'Lists the resources that may be read.', {}),
    async read(upstream, _args, signal) {
      const { resources } = await upstream.ask('resources/list', signal, (client, options) =>
        client.listResources({}, { ...options, cacheMode: 'bypass' }),
      );
      const { resourceTemplates } = await upstream.ask('resources/templates/list', signal, (client, options) =>
        client.listResourceTemplates({}, { ...options, cacheMode: 'bypass' }).catch(withoutTemplates),
      );
      const templates = resourceTemplates.filter(({ uriTemplate }) => mayBeRead(uriTemplate));
      return documented({
        resources: firstOf(resources.filter(({ uri }) => mayBeRead(uri))),
        ...(templates.length === 0 ? {} : { resourceTemplates: firstOf(templates) }),
      });
    },
  };
}

/** A server with resources need not know of templates. */
function withoutTemplates(thrown: unknown): Pick<ListResourceTemplatesResult, 'resourceTemplates'> {
  const methodNotFound: number = ProtocolErrorCode.MethodNotFound;
  if (thrown instanceof ProtocolError && thrown.code === methodNotFound) {
    return { resourceTemplates: [] };
  }
  throw thrown;
}

function firstOf<T extends { readonly _meta?: unknown }>(listed: readonly T[]): readonly Omit<T, '_meta'>[] {
  return listed.slice(0, MAX_LISTED).map(withoutMeta);
}

function readResource(beginnings: readonly string[]): ServedRead {
  // Dots would lead out of what a URI begins with.
  const pattern = `^(?!.*/(?:\\.|%2[eE]){1,2}(?:[/?#]|$))(?:${beginnings.map(escaped).join('|')})`;
  const uri = { type: 'string', maxLength: 2048, pattern, description: `It begins with ${beginnings.join(' or ')}` };
  return {
    definition: definitionOf('resource.read', 'Reads a resource.', { uri }),
    async read(upstream, args, signal) {
      const { contents } = await upstream.ask('resources/read', signal, (client, options) =>
        client.readResource({ uri: args['uri'] as string }, { ...options, cacheMode: 'bypass' }),
      );
      return resultOf({ content: contents.map(({ _meta, ...resource }) => ({ type: 'resource', resource })) });
    },
  };
}

function listPrompts(names: readonly string[]): ServedRead {
  return {
    definition: definitionOf('prompt.list', 'Lists the prompts that may be asked for.', {}),
    async read(upstream, _args, signal) {
      const { prompts } = await upstream.ask('prompts/list', signal, (client, options) =>
        client.listPrompts({}, { ...options, cacheMode: 'bypass' }),
      );
      return documented({ prompts: firstOf(prompts.filter(({ name }) => names.includes(name))) });
    },
  };
}

function getPrompt(names: readonly string[]): ServedRead {
  const values = { type: 'object', additionalProperties: { type: 'string' } };
  return {
    definition: definitionOf('prompt.get', 'Gets a prompt.', { name: { enum: [...names] } }, { arguments: values }),
    async read(upstream, args, signal) {
      const params = { name: args['name'] as string, arguments: (args['arguments'] ?? {}) as Record<string, string> };
      const { description, messages } = await upstream.ask('prompts/get', signal, (client, options) =>
        client.getPrompt(params, options),
      );
      return documented({ ...(description === undefined ? {} : { description }), messages });
    },
  };
}

function definitionOf(name: string, description: string, required: JsonObject, optional: JsonObject = {}): Definition {
  const names = Object.keys(required);
  return {
    name,
    description,
    inputSchema: {
      type: 'object',
      properties: { ...required, ...optional },
      ...(names.length === 0 ? {} : { required: names }),
      additionalProperties: false,
    },
  };
}

/** As text too, because models are shown texts. */
function documented(document: object): McpResult {
  const text = JSON.stringify(document);
  return resultOf({ content: [{ type: 'text', text }], structuredContent: JSON.parse(text) as Json });
}

function withoutMeta<T extends { readonly _meta?: unknown }>({ _meta, ...others }: T): Omit<T, '_meta'> {
  return others;
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`);
}
