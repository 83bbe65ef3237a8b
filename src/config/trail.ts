/** The member `trail` of the config: how often the audit trail is signed, and where the signatures are put besides. */
import { z } from 'zod';
import type { Anchor } from '../trail/anchors/anchor.js';
import { whole } from './schema.js';

export interface TrailConfig {
  /** How often what was added is signed. Seconds from 1 to 86,400, default 300. */
  readonly checkpointEverySeconds?: number;
  /** Made by `fileAnchor()`, `webhookAnchor()`, `gitAnchor()` and `timestampAnchor()`. Default none: then whoever has the ledger can cut its end off, with the checkpoints of it. */
  readonly anchors?: readonly Anchor[];
}

export const trailSchema = z.strictObject({
  checkpointEverySeconds: whole(1, 86_400, 'seconds').optional(),
  anchors: z
    .array(
      z.custom<Anchor>((value) => typeof (value as Anchor | null)?.put === 'function', {
        error: 'an anchor made by fileAnchor(), webhookAnchor(), gitAnchor() or timestampAnchor()',
      }),
      { error: 'a list of anchors' },
    )
    .superRefine((anchors, context) => {
      const names = anchors.map((anchor) => anchor?.name);
      const twice = names.find((name, index) => names.indexOf(name) < index);
      if (twice !== undefined)
        context.addIssue({ code: 'custom', message: `a list without a second anchor named "${twice}"` });
    })
    .optional(),
} satisfies Record<keyof TrailConfig, z.ZodType>);
