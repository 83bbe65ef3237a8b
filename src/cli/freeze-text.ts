/** A freeze, on one line or two. */
import type { Freeze } from '../action/freeze.js';
import { inert } from '../telling/inert.js';
import type { Paint } from './output.js';

export function freezeText({ id, tenant, scope, reason, by, at, lifted }: Freeze, paint: Paint): string {
  const what = scope.kind === 'all' ? 'everything' : `${scope.kind} ${inert(scope.value ?? '')}`;
  const where = tenant === '*' ? 'every tenant' : `tenant ${inert(tenant)}`;
  const over =
    lifted === undefined
      ? ''
      : `\n    lifted by ${inert(lifted.by)} at ${inert(lifted.at)}${lifted.reason === undefined ? '' : `: ${inert(lifted.reason)}`}`;
  return `  ${paint.bold(`#${id}`)}  ${what} of ${where}, by ${inert(by)} at ${inert(at)}: ${inert(reason)}${over}`;
}
