/** The config of the scratch world's workers: what decides and verifies is the operator's, and nothing of it leads out. */
import type { CountersignConfig } from '../../config/config.js';
import { withoutUndefined } from '../../action/json.js';
import type { Tool } from '../../tools/tool.js';

export interface ScratchConfigOptions {
  /** The folder of the operator's policies, or a copy with one thing changed. */
  readonly policies: string;
  readonly tools: readonly Tool[];
  /** Files of made-up keys, where the operator's config encrypts or redacts. */
  readonly keyFiles: { readonly payloads: string; readonly redaction: string };
}

/**
 * Every member is named: one that is added to configs later stays behind until somebody says that it leads nowhere. Notifications, anchors,
 * telemetry, the gateway, deployments and models are never taken over.
 */
export function scratchConfig(config: CountersignConfig, options: ScratchConfigOptions): CountersignConfig {
  const { policies, tools } = options;
  const privacy = scratchPrivacy(config, options);
  return {
    policies: { from: 'folder', path: policies },
    tools,
    signedPins: false,
    ...withoutUndefined({
      privacy,
      grantTtlSeconds: config.grantTtlSeconds,
      selfApproval: config.selfApproval,
      lookUpMaxWaitMs: config.lookUpMaxWaitMs === undefined ? undefined : Math.min(config.lookUpMaxWaitMs, 5_000),
      roles: config.roles,
      passkeys: config.passkeys,
      invariants: config.invariants,
    }),
    // The rate of people's decisions is theirs, and prove decides faster than people.
    approvalRateLimit: { approvals: 1_000 },
  };
}

function scratchPrivacy(
  { privacy }: CountersignConfig,
  { tools, keyFiles }: ScratchConfigOptions,
): CountersignConfig['privacy'] {
  if (privacy?.payloads === undefined && privacy?.redaction === undefined) return undefined;
  const names = new Set(tools.map(({ name }) => name));
  const rules = Object.entries(privacy.redaction?.tools ?? {}).filter(([name]) => names.has(name));
  return {
    payloads: { keysFile: keyFiles.payloads },
    ...(privacy.redaction === undefined
      ? {}
      : { redaction: { keysFile: keyFiles.redaction, tools: Object.fromEntries(rules) } }),
  };
}
