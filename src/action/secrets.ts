/** Secrets in texts, found by the formats in which their issuers publish them, so that they are not shown or logged. */

export interface FoundSecret {
  readonly index: number;
  readonly text: string;
  /** What it is: `GitHub token`. */
  readonly name: string;
}

/**
 * Formats that cannot hold spaces, quotes or operators: nobody can hide a statement from those who decide by dressing it up as a secret.
 * Their length has a limit for the same reason.
 */
const FORMATS: readonly (readonly [name: string, pattern: string])[] = [
  ['AWS access key', String.raw`(?:AKIA|ASIA)[A-Z0-9]{16}`],
  ['GitHub token', String.raw`(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{50,255})`],
  ['GitLab token', String.raw`glpat-[\w-]{20,64}`],
  ['Slack token', String.raw`xox[abeoprs]-[A-Za-z0-9-]{10,255}`],
  ['Stripe key', String.raw`(?:[sr]k_(?:live|test)_[A-Za-z0-9]{10,255}|whsec_[A-Za-z0-9]{20,255})`],
  ['Google API key', String.raw`AIza[\w-]{35}`],
  ['npm token', String.raw`npm_[A-Za-z0-9]{36}`],
  ['SendGrid key', String.raw`SG\.[\w-]{22}\.[\w-]{43}`],
  ['API key', String.raw`sk-(?:[a-z]{2,8}-)?[\w-]{20,255}`],
  ['JSON web token', String.raw`eyJ[\w-]{10,4000}\.[\w-]{10,4000}\.[\w-]{10,4000}`],
  [
    'private key',
    String.raw`-----BEGIN [A-Z ]{0,24}PRIVATE KEY-----[A-Za-z0-9+/=\s]{0,8000}(?:-----END [A-Z ]{0,24}PRIVATE KEY-----)?`,
  ],
  ['password', String.raw`(?<=://[\w.~%+-]{1,64}:)[\w.~%!$&*+-]{1,256}(?=@)`],
];

const ANY = new RegExp(`(?<![A-Za-z0-9_])(?:${FORMATS.map(([, pattern]) => `(${pattern})`).join('|')})`, 'g');

/** The secrets of known formats in a text, in their order. */
export function secretsIn(text: string): readonly FoundSecret[] {
  return [...text.matchAll(ANY)].map((match) => {
    const at = match.slice(1).findIndex((group) => group !== undefined);
    return { index: match.index, text: match[0], name: FORMATS[at]?.[0] ?? 'secret' };
  });
}

/** The text with `⟨GitHub token, struck out⟩` in the place of each secret. */
export function strikeSecrets(text: string): string {
  let struck = '';
  let rest = 0;
  for (const { index, text: secret, name } of secretsIn(text)) {
    struck += `${text.slice(rest, index)}⟨${struckOut(name)}⟩`;
    rest = index + secret.length;
  }
  return rest === 0 ? text : struck + text.slice(rest);
}

export function struckOut(name: string): string {
  return `${name}, struck out`;
}
