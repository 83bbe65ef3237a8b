/** What assertions and registrations have in common: the shape of a browser's response, and the page that it was made on. */
import { z } from 'zod';
import type { PasskeySettings } from '../../action/passkey.js';
import { refusalFactory } from '../claim-schemas.js';

export const refusePasskey = refusalFactory('PASSKEY_INVALID', 'passkey');

/** Canonical, so that one response has one text. */
export const base64url = (most: number) =>
  z
    .string()
    .max(most)
    .regex(/^[A-Za-z0-9_-]+$/)
    .refine((text) => Buffer.from(text, 'base64url').toString('base64url') === text);

/** At most 1023 bytes (WebAuthn, 6.5.1). */
export const credentialIdSchema = base64url(1364);

/** The members of a response outside of what the authenticator made. */
export const responseShape = { id: credentialIdSchema, rawId: credentialIdSchema, type: z.literal('public-key') };

const clientDataSchema = z.object({
  type: z.string(),
  challenge: z.string(),
  origin: z.string(),
  crossOrigin: z.boolean().optional(),
  topOrigin: z.unknown().optional(),
});

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Ahead of the library, which lets a page in a frame of another site pass where the browser does not name that site, and to say what is wrong. */
export function checkClientData(text: string, type: string, challenge: string, { origins }: PasskeySettings): void {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytesOf(text)));
  } catch {
    throw malformed();
  }
  const parsed = clientDataSchema.safeParse(value);
  if (!parsed.success || parsed.data.type !== type) throw malformed();
  const data = parsed.data;
  if (data.challenge !== challenge) {
    throw refusePasskey('The passkey signed something else than this', {
      expected: 'the challenge for exactly what is said now',
      fix: 'Load the page again, look at what it shows, and use the passkey again.',
    });
  }
  if (!origins.includes(data.origin) || data.crossOrigin === true || data.topOrigin !== undefined) {
    throw refusePasskey('The passkey was used on another site', {
      expected: `a page of ${origins.join(' or ')}, in no frame of another site`,
    });
  }
}

/** What the library says may repeat what anybody sent, so nothing of it is passed on. */
export async function verifying<T>(verify: () => Promise<T>): Promise<T> {
  try {
    return await verify();
  } catch {
    throw unverified();
  }
}

export function malformed(): Error {
  return refusePasskey("The passkey's response is not of the expected shape", {
    expected: 'what the browser answered, as JSON',
  });
}

export function unverified(): Error {
  return refusePasskey("The passkey's response does not verify", {
    expected: 'a signature by the passkey, for this site, after it verified the person (PIN, fingerprint, face)',
    fix: 'Use the passkey again; where it asks for nothing, set a PIN on it.',
  });
}

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, 'base64url'));
}
