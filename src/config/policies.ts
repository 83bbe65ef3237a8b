/** The member `policies` of the config: where workers take their policy from. */
import path from 'node:path';
import { z } from 'zod';
import { CountersignError } from '../action/errors.js';
import { nonEmpty, whole } from './schema.js';

/** The policy is the one that people made active in the ledger: `countersign policy`. */
export interface LedgerPolicies {
  /** People publish policies to the ledger, and promote one. */
  readonly from: 'ledger';
  /** The folder that `countersign dev` runs in its place, and which can be edited there. Relative to the config file. */
  readonly folder?: string;
  /** How many people have to sign a promotion. From 1 to 10, default 1. */
  readonly quorum?: number;
  /** Whether a policy can be promoted without a backtest against the active one. Default false. */
  readonly withoutEvidence?: boolean;
}

/** The policy is what the folder holds, as soon as it is saved. */
export interface FolderPolicies {
  readonly from: 'folder';
  /** Relative to the config file. */
  readonly path: string;
  /** Whether workers take it also in production, where whoever can write to the folder changes policy. Default false. */
  readonly inProduction?: boolean;
}

/** Where workers take their policy from. */
export type PoliciesConfig = LedgerPolicies | FolderPolicies;

const yesNo = z.boolean({ error: 'true or false' }).optional();
export const policiesSchema = z.union(
  [
    nonEmpty('the path of a policy folder'),
    z.strictObject({
      from: z.literal('ledger'),
      folder: nonEmpty('the path of a policy folder').optional(),
      quorum: whole(1, 10).optional(),
      withoutEvidence: yesNo,
    }),
    z.strictObject({ from: z.literal('folder'), path: nonEmpty('the path of a policy folder'), inProduction: yesNo }),
  ],
  {
    error:
      "the path of a policy folder, { from: 'ledger', folder?, quorum? (1 to 10), withoutEvidence? } or { from: 'folder', path, inProduction? }",
  },
);

/** A path alone is a folder. */
export function policySourceOf({ policies }: { readonly policies: string | PoliciesConfig }): PoliciesConfig {
  return typeof policies === 'string' ? { from: 'folder', path: policies } : policies;
}

/** The folder that can be edited in place; undefined where there is none. */
export function editedFolder(config: { readonly policies: string | PoliciesConfig }): string | undefined {
  const source = policySourceOf(config);
  return source.from === 'ledger' ? source.folder : source.path;
}

/** The same, with paths that do not depend on where the process runs. */
export function inFolder(root: string, policies: string | PoliciesConfig): string | PoliciesConfig {
  if (typeof policies === 'string') return path.resolve(root, policies);
  if (policies.from === 'folder') return { ...policies, path: path.resolve(root, policies.path) };
  return policies.folder === undefined ? policies : { ...policies, folder: path.resolve(root, policies.folder) };
}

/** In production a policy is not live because a file was saved. @throws CountersignError CONFIG_INVALID */
export function folderRefused(source: PoliciesConfig): void {
  if (source.from === 'ledger' || source.inProduction === true) return;
  throw new CountersignError(
    'CONFIG_INVALID',
    'In production, the policy is not taken from a folder that anybody can edit.',
    {
      field: 'policies',
      expected: "{ from: 'ledger' }",
      fix: `Publish the folder (countersign policy publish ${source.path}) and promote it; or say that you mean it: policies: { from: 'folder', path: …, inProduction: true }.`,
    },
  );
}
