/** `npm run bench -- <name> [--json]`: benchmarks that compare side by side in one run. */
import { backtest } from './backtest.js';
import { guard } from './guard.js';
import { inbox } from './inbox.js';
import { ledger } from './ledger.js';
import { mcp } from './mcp.js';
import { policy } from './policy.js';
import { radar } from './radar.js';
import { rehearsal } from './rehearsal.js';
import { replay } from './replay.js';
import { runaway } from './runaway.js';
import { scale } from './scale.js';

const BENCHES: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  backtest,
  guard,
  inbox,
  ledger,
  mcp,
  policy,
  radar,
  rehearsal,
  replay,
  runaway,
  scale,
};

const [name = '', ...args] = process.argv.slice(2);
const bench = BENCHES[name];
if (bench === undefined) {
  console.error(`usage: npm run bench -- ${Object.keys(BENCHES).join(' | ')} [--json]`);
  process.exit(2);
}
await bench(args);
