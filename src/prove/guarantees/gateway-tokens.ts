/** Tokens of the issuers that the operator's config names: whoever has no good one is not let in. */
import { generateKeyPair } from 'jose';
import { broken, doesNotApply, together, type GuaranteeVerdict } from '../verdict.js';
import { allRefused, proposing, UNKNOWN, type OfOne } from '../ways-in.js';

export const tokens: OfOne = async (world, ways, one) => {
  const { issuers } = ways.gateway;
  if (issuers.length === 0) return doesNotApply('The config names no issuer of agents’ tokens (gateway.agents).');
  const verdicts: GuaranteeVerdict[] = [];
  for (const issuer of issuers) {
    const good = await ways.gateway.send('/v1/me', {
      method: 'GET',
      headers: { authorization: `Bearer ${await issuer.token()}` },
    });
    if (good.status !== 200) {
      const why = `A good token for ${issuer.config.audience} was answered with ${good.status}: ${String(good.body['detail'])}`;
      verdicts.push(broken(why, 'See `gateway.agents` of the config: audience, and where the claims say what.'));
      continue;
    }
    const { privateKey } = await generateKeyPair('ES256');
    const now = Math.floor(Date.now() / 1000);
    const attempts: Readonly<Record<string, string>> = {
      'a token that somebody else signed': await issuer.token({ key: privateKey }),
      'a token that nobody signed': issuer.unsigned(),
      'a token signed with the public key': await issuer.token({ alg: 'HS256', key: Buffer.from(issuer.published) }),
      'a token for another audience': await issuer.token({ claims: { aud: 'countersign-prove-other' } }),
      'a token of an unknown issuer': await issuer.token({ claims: { iss: 'https://countersign-prove.invalid' } }),
      'a token that has expired': await issuer.token({ claims: { exp: now - 3_600 } }),
      'a token that never expires': await issuer.token({ claims: { exp: undefined } }),
      'a token that is not good yet': await issuer.token({ claims: { nbf: now + 3_600 } }),
      'a token of another kind': await issuer.token({ typ: 'logout+jwt' }),
    };
    verdicts.push(
      await allRefused(
        world,
        Object.entries(attempts).map(([what, token]) => ({
          what,
          codes: UNKNOWN,
          send: () => proposing(world, ways, one, { authorization: `Bearer ${token}` }),
        })),
      ),
    );
  }
  return together(verdicts);
};
