/** One process of the benchmark `replay`: replays so many histories, and says how long it took and how much memory at most. */
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { parseHistory } from '../src/replay/history.js';
import { replayHistories } from '../src/replay/replay.js';
import { historyFiles, type HistorySource } from '../src/replay/sources.js';
import { workflowBundlePath } from '../src/worker/bundle.js';

const [, , folder = '', count = '0'] = process.argv;

Runtime.install({
  logger: new DefaultLogger('ERROR', () => {}),
  telemetryOptions: { logging: { filter: 'ERROR', forward: {} } },
});

const texts = await Promise.all((await historyFiles([folder])).map(({ name }) => readFile(name, 'utf8')));

/**
 * The recorded histories again and again, each time as another tenant's. Those of compensations keep their ids: they take those of their
 * children from what an activity answered.
 */
function* repeated(total: number): Generator<HistorySource> {
  for (let n = 0; n < total; n++) {
    const text = texts[n % texts.length] ?? '';
    const tenant = `t${n}`;
    const named = text.includes('"workflowId":"undo/acme/') ? text : text.replaceAll('acme/', `${tenant}/`);
    yield { name: tenant, read: async () => parseHistory(named, tenant) };
  }
}

let [histories, events, problems] = [0, 0, 0];
const start = performance.now();
await replayHistories(repeated(Number(count)), {
  bundle: await workflowBundlePath(),
  concurrency: os.availableParallelism(),
  told: ({ events: length = 0, problem }) => {
    histories++;
    events += length;
    if (problem !== undefined) problems++;
  },
});
const seconds = (performance.now() - start) / 1000;
// Of the whole process, as the system counted it: kilobytes on Linux and macOS, as Node gives it.
const peakMB = process.resourceUsage().maxRSS / 1024;
process.stdout.write(JSON.stringify({ histories, events, problems, seconds, peakMB }));
process.exit();
