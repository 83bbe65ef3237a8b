/** Which passkeys a deployment takes: of which site, and with which algorithms. */
import { z } from 'zod';

/** EdDSA, ES256, RS256 (RFC 9053): the same on every worker, whatever its runtime could verify besides. */
export const PASSKEY_ALGORITHMS: readonly number[] = [-8, -7, -257];

/** For a config: every origin is the domain's or a subdomain's, and only loopback does without TLS. */
export const passkeySettingsSchema = z
  .strictObject({
    rpId: z.string().regex(/^(?:[a-z0-9-]+\.)*[a-z0-9-]+$/),
    origins: z.array(z.string()).min(1).max(16),
  })
  .refine(({ rpId, origins }) => origins.every((origin) => belongs(origin, rpId)), {
    path: ['origins'],
    message: 'origins (https, or http on localhost) of the domain rpId or below it, without a path',
  });

function belongs(origin: string, rpId: string): boolean {
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  const secure = url.protocol === 'https:' || (url.protocol === 'http:' && url.hostname === 'localhost');
  return secure && url.origin === origin && (url.hostname === rpId || url.hostname.endsWith(`.${rpId}`));
}
