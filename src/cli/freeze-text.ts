/** A freeze, on one line or two. */
import type { Freeze } from '../action/freeze.js';
import { sanitize } from '../presentation/sanitize.js';
import type { Paint } from './output.js';

export function freezeText({ id, tenant, scope, reason, by, at, lifted }: Freeze, paint: Paint): string {
  const what = scope.kind === 'all' ? 'everything' : `${scope.kind} ${sanitize(scope.value ?? '')}`;
  const where = tenant === '*' ? 'every tenant' : `tenant ${sanitize(tenant)}`;
  const over =
    lifted === undefined
      ? ''
      : `\n    lifted by ${sanitize(lifted.by)} at ${sanitize(lifted.at)}${lifted.reason === undefined ? '' : `: ${sanitize(lifted.reason)}`}`;
  return `  ${paint.bold(`#${id}`)}  ${what} of ${where}, by ${sanitize(by)} at ${sanitize(at)}: ${sanitize(reason)}${over}`;
}
