/** An agent that proposes a saga, says what it waits for, and waits until it is killed. */
import { Countersign, type SagaInput } from '../../clients/typescript/src/index.js';

const saga = await new Countersign().saga(JSON.parse(process.argv[2] ?? '') as SagaInput);
process.stdout.write(`${saga.status} ${saga.waitsFor?.actionId}\n`);
if (saga.status === 'needs_person') await saga.outcome();
