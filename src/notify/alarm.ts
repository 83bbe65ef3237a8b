/** Alarms: what those who run Countersign are told, beside what people decide. Made of fixed words, because nothing can be read from a broken ledger. */
import { digest } from '../action/json.js';
import { CountersignError } from '../action/errors.js';
import { TENANT_PATTERN } from '../action/proposal.js';
import type { Alert } from './alert.js';

export const ALARM_KINDS = ['ledger_broken', 'ledger_set_back'] as const;
export type AlarmKind = (typeof ALARM_KINDS)[number];

/** Its workflow is the state: it runs as long as the alarm lasts. */
export interface LedgerAlarm {
  readonly kind: AlarmKind;
  /** Whose records it is about. Absent: everybody's. */
  readonly tenant?: string;
  /** Names of the channels that are told. */
  readonly channels: readonly string[];
  /** For how long delivery is attempted. Milliseconds. */
  readonly maxWaitMs: number;
  /** How often it is looked whether it is over. Milliseconds. */
  readonly lookEveryMs: number;
}

/** What is told: that it began, or that it is over. */
export interface AlarmNotice {
  readonly kind: AlarmKind;
  readonly state: 'raised' | 'over';
  readonly tenant?: string;
  /** RFC 3339 UTC. */
  readonly at: string;
}

export function alertOfLedger(notice: AlarmNotice): Alert {
  const { at, tenant } = notice;
  const [title, text] = [alarmTitle(notice), alarmText(notice)];
  const data = { ...(tenant === undefined ? {} : { tenant }), title, text };
  return { type: alarmType(notice), at, subject: 'ledger', title, lines: [text], data };
}

/** The type of its events: `ledger.broken`, `ledger.broken.over`, `ledger.set_back`. */
function alarmType({ kind, state }: AlarmNotice): string {
  return `${kind.replace('_', '.')}${state === 'over' ? '.over' : ''}`;
}

function alarmTitle({ kind, state }: AlarmNotice): string {
  if (state === 'over') return 'The ledger takes receipts again';
  return kind === 'ledger_broken' ? 'The ledger cannot take a receipt' : 'The ledger ends before what Temporal saw';
}

/** A few sentences: what it is about, what that means, and what to do. */
function alarmText({ kind, state, tenant }: AlarmNotice): string {
  const whose = tenant === undefined ? 'every tenant' : `tenant ${tenant}`;
  if (state === 'over') return `It is about ${whose}. What waited goes on by itself.`;
  const means =
    kind === 'ledger_broken'
      ? 'Nothing is admitted, and no effect is made. What waits goes on by itself once the ledger is whole again.'
      : 'It was restored to an earlier state, or its end was cut off. The tenant is frozen until a person has looked.';
  return `It is about ${whose}. ${means} "countersign doctor" says what is missing.`;
}

/** The same for all attempts, and another for every other alarm, run of it and channel. */
export function alarmDeliveryId(
  run: string,
  { kind, state }: Pick<AlarmNotice, 'kind' | 'state'>,
  channel: string,
): string {
  const hex = digest({ alarm: run, kind, state, channel }).slice('sha256:'.length);
  return `ntc_${hex.slice(0, 48)}`;
}

/** Validates what a workflow was started with: whoever has access to Temporal can start one. @throws CountersignError NOT_FOUND */
export function checkedAlarm(value: Pick<AlarmNotice, 'kind' | 'tenant'>): Pick<AlarmNotice, 'kind' | 'tenant'> {
  const { kind, tenant } = value;
  if (ALARM_KINDS.includes(kind) && (tenant === undefined || TENANT_PATTERN.test(tenant))) {
    return { kind, ...(tenant === undefined ? {} : { tenant }) };
  }
  throw new CountersignError('NOT_FOUND', 'There is no such alarm.');
}
