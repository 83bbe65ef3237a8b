/** Where the command line reads actions: in Temporal, and in the ledger where one is configured. */
import type { RecordSources } from '../action-records/read.js';
import { asCountersignError } from '../action/errors.js';
import type { Countersign } from '../client/countersign.js';
import type { ArchivedRecord, Ledger } from '../ledger/index.js';
import type { Context } from './context.js';

/** `client`: one that is connected already. @throws CountersignError TEMPORAL_UNAVAILABLE, when no ledger is at hand either */
export async function actionSources(context: Context, client?: Countersign): Promise<RecordSources> {
  const countersign = client ?? (await connected(context));
  return {
    countersign,
    ledger: countersign === undefined ? await context.ledger() : optionalLedger(context),
    forPeople: true,
    temporalUi: context.temporalUi,
    ...(countersign === undefined
      ? {}
      : {
          query: ({ tenant, actionId }) => context.answered(countersign, () => countersign.view(actionId, tenant)),
        }),
  };
}

async function connected(context: Context): Promise<Countersign | undefined> {
  try {
    return await context.countersign();
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.code !== 'TEMPORAL_UNAVAILABLE' || !context.hasLedger()) throw error;
    context.out.warn(`${error.message} The ledger is asked instead.`);
    return undefined;
  }
}

/** The ledger adds to what Temporal knows: without it, or with another database in its place, Temporal's word is shown. */
function optionalLedger(context: Context): RecordSources['ledger'] {
  if (!context.hasLedger()) return undefined;
  let ledger: Promise<Ledger> | undefined;
  const asked = async (
    ask: (archive: Ledger['archive']) => Promise<ArchivedRecord | undefined>,
  ): Promise<ArchivedRecord | undefined> => {
    try {
      ledger ??= context.ledger();
      return await ask((await ledger).archive);
    } catch (thrown) {
      context.out.warn(`${asCountersignError(thrown).message} Only Temporal is asked.`);
      return undefined;
    }
  };
  return {
    archive: {
      action: (tenant, actionId) => asked((archive) => archive.action(tenant, actionId)),
      actionForPeople: (tenant, actionId) => asked((archive) => archive.actionForPeople(tenant, actionId)),
    },
  };
}
