/** The head of the policy pages: where one is, and where else one can go. */
import type { JSX } from 'hono/jsx/jsx-runtime';

const PARTS = [
  ['policy', '/policy', 'In force'],
  ['shadow', '/policy/shadow', 'In shadow'],
  ['playground', '/policy/playground', 'Playground'],
] as const;
export type PolicyPart = (typeof PARTS)[number][0];

export function PolicyHeading({
  title,
  part,
}: {
  readonly title: string;
  readonly part?: PolicyPart | undefined;
}): JSX.Element {
  return (
    <div class="heading">
      <h1>{title}</h1>
      <nav class="row" aria-label="Policy">
        {PARTS.map(([name, href, label]) => (
          <a
            class={`button ${name === part ? '' : 'quiet'}`}
            href={href}
            {...(name === part ? { 'aria-current': 'page' } : {})}
          >
            {label}
          </a>
        ))}
      </nav>
    </div>
  );
}
