/** Planted: the service's word is taken for the deed; nothing is compared. */
import { ExpectationRunner } from '../../src/verify/index.js';
import { toolbox } from '../world/tools.js';
import { replace } from './replace.js';

export function successWithoutVerification(): () => void {
  const make = toolbox.make;
  toolbox.make = (places) => make(places).map((tool) => ({ ...tool, verify: () => [{ name: 'derived', ok: true }] }));

  const compare = replace(ExpectationRunner.prototype, 'evaluate', () => async () => ({ name: 'expect', ok: true }));
  return () => {
    toolbox.make = make;
    compare();
  };
}
