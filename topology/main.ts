/**
 * `npm run topology -- [--json]`: the processes of docker-compose.yml without Docker, on a production Temporal server and three Postgres servers; plays
 * the scenes, kills and replaces what runs, restores the ledger, and stops by itself.
 */
import { parseArgs } from 'node:util';
import { shutdown } from '../src/dev/index.js';
import { play, SCENES, type Played } from './scenes.js';
import { setStage } from './stage.js';
import { SERVER_VERSION } from './temporal-server.js';

const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
const tell = (line: string): void => void process.stderr.write(`${line}\n`);

const began = performance.now();
const played: Played[] = [];
try {
  const stage = await setStage(tell);
  const readyMs = Math.round(performance.now() - began);
  for (const scene of SCENES) {
    const result = await play(scene, stage);
    played.push(result);
    tell(
      `${result.ok ? '✓' : '✗'} ${result.title} (${result.ms} ms)${result.ok ? '' : ` ${JSON.stringify(result.seen)}`}`,
    );
  }
  const ok = played.every((scene) => scene.ok);
  if (values.json) {
    const figures = { ok, temporal: SERVER_VERSION, workers: 2, gateways: 2, readyMs, scenes: played };
    process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);
  }
  process.exitCode = ok ? 0 : 1;
} catch (error) {
  tell(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exitCode = 1;
} finally {
  await shutdown();
}
process.exit();
