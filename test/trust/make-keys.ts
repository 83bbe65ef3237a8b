/** One of several processes that want development keys at the same instant: says `ready`, waits for a line, prints what it found. */
import { once } from 'node:events';
import { loadKeyring } from '../../src/trust/key-store.js';

const devPath = process.argv[2];
process.stdout.write('ready\n');
await once(process.stdin, 'data');
let made = false;
const keyring = await loadKeyring({ env: {}, devPath, onCreated: () => (made = true) });
process.stdout.write(`${JSON.stringify({ made, kid: keyring.sign.issuer?.kid })}\n`);
process.stdin.destroy();
