/** What must be nowhere: credentials of tools, and values that the operator's rules redact. */
import type { Json, JsonObject } from '../../action/json.js';
import { markAt } from '../../privacy/redaction-rules.js';
import { tokensOf } from '../../tools/http/pointer.js';
import { decidedAs, type Case, type ToolCases } from '../cases.js';
import { everywhere, type WrittenText } from '../everywhere.js';
import type { Guarantee } from '../guarantee.js';
import { broken, doesNotApply, holds, together, type GuaranteeVerdict } from '../verdict.js';
import { nothingTried } from '../attempts.js';
import type { World } from '../world.js';

async function foundIn(places: AsyncIterable<WrittenText>, text: string): Promise<readonly string[]> {
  const found = new Set<string>();
  for await (const { name, text: all } of places) if (all.includes(text)) found.add(name);
  return [...found];
}

async function secretsNowhere(world: World): Promise<GuaranteeVerdict> {
  if (world.parts.cases.length === 0) return doesNotApply(nothingTried(world));
  const { secret } = world.parts;
  const found = await foundIn(everywhere(world), secret);
  return found.length === 0
    ? holds('The credential of the tools is in no history, in no row of the ledger and in no line of the log.')
    : broken(
        `The credential of the tools is in ${found.join(', ')}.`,
        'See which tool gives its credential away in what it returns or throws, and strike it out there.',
      );
}

async function redactionHolds(world: World): Promise<GuaranteeVerdict> {
  const rules = world.parts.config.privacy?.redaction?.tools ?? {};
  const ruled = world.parts.cases.filter(({ proven }) => rules[proven.tool.name] !== undefined);
  if (ruled.length === 0)
    return doesNotApply('The config redacts nothing of a tool that is tried (privacy.redaction).');
  const verdicts: GuaranteeVerdict[] = [];
  for (const cases of ruled) {
    const { name } = cases.proven.tool;
    const { fields = [], input = [] } = rules[name] ?? {};
    const marked = await proposeMarked(world, cases, input);
    const read = fields.length === 0 ? 0 : await readMarked(world, cases);
    verdicts.push(await nothingRecorded(world, name, [...marked.kept, ...(read > 0 ? fields : [])], marked.missing));
  }
  return together(verdicts);
}

async function nothingRecorded(
  world: World,
  name: string,
  tried: readonly string[],
  missing: readonly string[],
): Promise<GuaranteeVerdict> {
  const left =
    missing.length === 0 ? '' : ` Not tried, because no input that could be made up has them: ${missing.join(', ')}.`;
  if (tried.length === 0)
    return doesNotApply(`No proposal to ${name} could be made up that has what is redacted.${left}`);
  const found = await foundIn(everywhere(world, { histories: false }), world.parts.redacted);
  return found.length === 0
    ? holds(`What ${name} redacts (${tried.join(', ')}) is in no row of the ledger and in no line of the log.${left}`)
    : broken(
        `What ${name} redacts (${tried.join(', ')}) is in ${found.join(', ')}.`,
        'This is a fault of Countersign: report it, and record nothing of that tool until it is corrected.',
      );
}

/** Proposes inputs with the mark where each pointer leads. */
async function proposeMarked(world: World, { changes, reads }: ToolCases, pointers: readonly string[]) {
  const [kept, missing] = [[] as string[], [] as string[]];
  for (const pointer of pointers) {
    const found = [...decidedAs('allow', reads), ...decidedAs('allow', changes)].find((one) =>
      leadsToText(one, pointer),
    );
    if (found === undefined) missing.push(pointer);
    else {
      const input = markAt(found.input(world.next()), tokensOf(pointer), () => world.parts.redacted) as JsonObject;
      await world.propose(found, { input });
      kept.push(pointer);
    }
  }
  return { kept, missing };
}

/** Reads and changes rows whose columns hold the mark. */
async function readMarked(world: World, { changes, reads }: ToolCases): Promise<number> {
  const some = [...decidedAs('allow', reads).slice(0, 3), ...decidedAs('allow', changes).slice(0, 3)];
  for (const one of some) {
    const { pending } = await world.propose(one);
    if (pending !== undefined) await world.cancel({ actionId: pending.actionId, tool: one.tool });
  }
  return some.length;
}

function leadsToText(one: Case, pointer: string): boolean {
  let led = false;
  markAt(one.input(0), tokensOf(pointer), (value: Json) => {
    led ||= typeof value === 'string';
    return value;
  });
  return led;
}

export const PRIVACY: readonly Guarantee[] = [
  {
    id: 'secrets-are-nowhere',
    family: 'privacy',
    promise: 'The credentials of tools are in no history, no record and no log.',
    check: secretsNowhere,
  },
  {
    id: 'redaction-holds',
    family: 'privacy',
    promise: 'What the config redacts is in no record and no log.',
    check: redactionHolds,
  },
];
