/** Planted: the service's word is taken for the deed; nothing is compared. Loaded before a worker of a test run. */
import { ExpectationRunner } from '../../src/verify/index.js';
import { toolbox } from '../world/tools.js';

const make = toolbox.make;
toolbox.make = (places) => make(places).map((tool) => ({ ...tool, verify: () => [{ name: 'derived', ok: true }] }));

ExpectationRunner.prototype.evaluate = async () => ({ name: 'expect', ok: true });
