/** The `mcp` tool on a sandbox of this machine, over HTTP: the same tools and pins, and none of its own server and credentials. */
import { withoutUndefined } from '../../action/json.js';
import type { Elsewhere, Place } from '../elsewhere.js';
import { otherSecrets } from '../http/elsewhere.js';
import type { Tool } from '../tool.js';
import type { McpOptions } from './options.js';

/** @param make makes the tool */
export function elsewhere(options: McpOptions, make: (options: McpOptions) => Tool): Elsewhere<Tool> {
  const { server } = options;
  return {
    needs: 'address',
    isOwn: (url) => 'url' in server && new URL(url).origin === new URL(server.url).origin,
    at: (place) => make(movedTo(place, options)),
  };
}

/** Every option is named: one that is added later stays behind until somebody says that it leads nowhere. */
function movedTo({ url, secret }: Place, options: McpOptions): McpOptions {
  const { server } = options;
  const headers = 'url' in server ? otherSecrets(server.headers ?? {}, secret) : {};
  return {
    name: options.name,
    environment: options.environment,
    server: { url, headers, allow: { loopback: true } },
    pins: options.pins,
    tools: options.tools,
    ...withoutUndefined({
      reads: options.reads,
      resources: options.resources,
      prompts: options.prompts,
      ownNames: options.ownNames,
      protocol: options.protocol,
      limits: options.limits,
      sends: options.sends,
    }),
  };
}
