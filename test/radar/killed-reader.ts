/** A reader of the radar in a process of its own, which dies at a named point. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { inject } from 'vitest';
import { CONDITION, withCodeCache } from '../../scripts/program.js';
import type { PostgresOptions } from '../../src/tools/index.js';

/** Runs a reader in a process of its own, which ends itself when it is about to record, or has. */
export async function readerKilled(
  ledgerUrl: string,
  point: 'before' | 'after',
  options: PostgresOptions,
): Promise<NodeJS.Signals | null> {
  const from = (file: string) => JSON.stringify(pathToFileURL(path.join(inject('compiledSources'), file)).href);
  const program = `
    import pino from ${JSON.stringify(import.meta.resolve('pino'))};
    const { Radar } = await import(${from('src/radar/radar.js')});
    const { Ledger } = await import(${from('src/ledger/index.js')});
    const { postgres } = await import(${from('src/tools/index.js')});
    const ledger = await Ledger.connect({ url: ${JSON.stringify(ledgerUrl)} });
    const tool = postgres(${JSON.stringify(options)});
    const { radar } = ledger;
    const dying = new Proxy(radar, {
      get: (target, name) => name !== 'record' ? target[name].bind(target) : async (source, found) => {
        const fatal = found.alerts.length > 0;
        if (fatal && ${point === 'before'}) process.kill(process.pid, 'SIGKILL');
        const recorded = await target.record(source, found);
        if (fatal) process.kill(process.pid, 'SIGKILL');
        return recorded;
      },
    });
    new Radar({ name: tool.name, source: tool.radar, tools: new Set([tool.name]), ledger: { radar: dying, radarEffects: ledger.radarEffects },
      logger: pino({ level: 'silent' }), found: () => {}, tell: () => {}, leaseMs: 1000 }).start();`;
  const cached = [...withCodeCache(inject('compiledSources')), `--conditions=${CONDITION}`];
  const child = spawn(process.execPath, [...cached, '--input-type=module', '-e', program], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [, killedBy] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  return killedBy;
}
