/** The agent card: what other agents find out about this gateway before they talk to it (A2A 1.0, section 4.4). */
import { createRequire } from 'node:module';
import { A2A_PROTOCOL_VERSION, type AgentCard } from '@a2a-js/sdk';

const { version } = createRequire(import.meta.url)('countersign/package.json') as { version: string };

export const A2A_PATH = '/a2a';

const JSON_MODE = 'application/json';
const BEARER = { schemes: { bearer: { list: [] } } };

const EXAMPLE = JSON.stringify({ tool: 'shop-db', input: { op: 'delete', table: 'sessions', where: { id: 7 } } });

export function cardOf(publicUrl: string): AgentCard {
  return {
    name: 'Countersign',
    description:
      'Does what you propose on real systems once policy allows it, asks people where policy says so, and tells what was verified afterwards.',
    version,
    provider: undefined,
    documentationUrl: `${publicUrl}/docs`,
    supportedInterfaces: [
      {
        url: `${publicUrl}${A2A_PATH}`,
        protocolBinding: 'JSONRPC',
        protocolVersion: A2A_PROTOCOL_VERSION,
        tenant: '',
      },
    ],
    capabilities: { streaming: false, pushNotifications: false, extendedAgentCard: false, extensions: [] },
    securitySchemes: {
      bearer: {
        scheme: {
          $case: 'httpAuthSecurityScheme',
          value: { scheme: 'Bearer', bearerFormat: '', description: 'An API key, or a token of a known issuer' },
        },
      },
    },
    securityRequirements: [BEARER],
    defaultInputModes: [JSON_MODE],
    defaultOutputModes: [JSON_MODE, 'text/plain'],
    skills: [
      {
        id: 'propose',
        name: 'Propose an action',
        description:
          'Takes one part `data`, a proposal: the name of a tool and its input, and optionally actionId, expect, reasoning and what else POST /v1/actions takes. The task is the action. While people decide it needs input, which is theirs: no message approves it.',
        tags: ['governance', 'approval', 'audit'],
        examples: [EXAMPLE],
        inputModes: [JSON_MODE],
        outputModes: [JSON_MODE, 'text/plain'],
        securityRequirements: [BEARER],
      },
    ],
    signatures: [],
  };
}
