/** How the clocks of this machine and of the workers go beside the ledger's, by which everything is judged. */
import { CLOCK_OFF_MS, type Ledger } from '../ledger/index.js';

interface ClockStanding {
  readonly ok: boolean;
  readonly detail: string;
}

/** Workers that are silent are not asked about. @throws CountersignError LEDGER_UNAVAILABLE */
export async function clocksStanding({ clock, rollout }: Pick<Ledger, 'clock' | 'rollout'>): Promise<ClockStanding> {
  await clock.look();
  const workers = (await rollout.workers()).filter(({ silent }) => !silent);
  const clocks = [
    { whose: 'this machine', aheadMs: clock.aheadMs ?? 0 },
    ...workers.flatMap(({ worker, clockAheadMs: aheadMs }) =>
      aheadMs === undefined ? [] : [{ whose: worker, aheadMs }],
    ),
  ];
  const off = clocks.filter(({ aheadMs }) => Math.abs(aheadMs) > CLOCK_OFF_MS);
  if (off.length > 0) {
    return {
      ok: false,
      detail: off.map(({ whose, aheadMs }) => `${whose}: ${farOff(aheadMs)} the ledger's`).join('; '),
    };
  }
  const farthest = Math.max(...clocks.map(({ aheadMs }) => Math.abs(aheadMs)));
  const whose = clocks.length === 1 ? 'this machine' : `this machine and ${clocks.length - 1} of the workers`;
  return { ok: true, detail: `${whose}: within ${farthest} ms of the ledger's` };
}

function farOff(aheadMs: number): string {
  return `${Math.round(Math.abs(aheadMs) / 100) / 10} s ${aheadMs > 0 ? 'ahead of' : 'behind'}`;
}
