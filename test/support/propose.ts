/** Proposes what its argument says, as a process of its own, and prints the answer. */
import { Countersign } from '../../src/client/countersign.js';
import type { ProposalInput } from '../../src/client/countersign.js';

const client = await Countersign.connect();
const answer = await client.perform(JSON.parse(process.argv[2] as string) as ProposalInput);
process.stdout.write(JSON.stringify(answer));
await client.close();
