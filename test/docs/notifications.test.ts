/** docs/notifications.md: the config loads, the receiver takes what the config's channel sends, and its lists are the code's. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEFAULT_KINDS, NOTICE_KINDS, Notifier, webhook } from '../../src/notify/index.js';
import { loadConfig } from '../../src/config/config.js';
import { delivery, notice, openReceiver } from '../notify/support.js';
import { ROOT } from '../support/root.js';
import { until } from '../support/until.js';
import { onSources, scratch } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/notifications.md'), 'utf8');
const SECRET = `whsec_${randomBytes(32).toString('base64')}`;
let folder: string;

beforeAll(async () => {
  folder = await scratch('notifications');
  Object.assign(process.env, {
    COUNTERSIGN_WEBHOOK_SECRET: SECRET,
    SLACK_BOT_TOKEN: 'xoxb-1',
    SMTP_PASSWORD: 'p',
    SHOP_URL: 'postgres://shop@127.0.0.1:1/shop',
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function snippet(name: string): string {
  const [, code] = new RegExp(`\`\`\`\\w+ ${name.replaceAll('.', '\\.')}\\n(.*?)\`\`\``, 's').exec(page) ?? [];
  if (code === undefined) throw new Error(`docs/notifications.md has no snippet ${name}`);
  return onSources(code);
}

test('has no other snippets than those tested here', () => {
  const names = [...page.matchAll(/^```\w+ (\S+)$/gm)].map(([, name]) => name);
  expect(names).toEqual(['countersign.config.mjs', 'receiver.mjs', 'notice.json', 'event.json']);
});

test('countersign.config.mjs: its routes lead where they say', async () => {
  const file = path.join(folder, 'countersign.config.mjs');
  await writeFile(file, snippet('countersign.config.mjs'));
  const { notifications, tools } = await loadConfig(file);
  if (notifications === undefined) throw new Error('the config has no notifications');
  const notifier = new Notifier(notifications);
  expect(notifier.channelsFor(notice())).toEqual(['slack', 'email', 'duty']);
  expect(notifier.channelsFor(notice({ kind: 'reminded', environment: 'staging' }))).toEqual(['slack']);
  expect(notifier.channelsFor(notice({ kind: 'decided' }))).toEqual(['duty', 'slack']);
  await notifier.close();
  for (const tool of tools) await tool.close();
});

test('receiver.mjs takes what is signed, once, and nothing else', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  const file = path.join(folder, 'receiver.mjs');
  await writeFile(file, snippet('receiver.mjs'));
  const receiver = spawn(process.execPath, [file], { env: { ...process.env, PORT: String(port) } });
  let said = '';
  receiver.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  try {
    const url = `http://127.0.0.1:${port}/`;
    const channel = webhook({ url, secrets: ['env:COUNTERSIGN_WEBHOOK_SECRET'], allow: { loopback: true } });
    const sent = (): Promise<string> =>
      channel.deliver(notice(), delivery()).then(
        ({ detail }) => detail,
        (error: unknown) => String(error),
      );
    expect(await until(sent, (detail) => detail === 'HTTP 204')).toBe('HTTP 204');
    expect(await sent()).toBe('HTTP 204');
    const forged = await fetch(url, { method: 'POST', body: '{"type":"action.asked","data":{}}' });
    expect(forged.status).toBe(400);
    await until(
      async () => said,
      (text) => text.includes('\n'),
    );
    expect(said).toBe('action.asked price-1 https://approvals.example.com/actions/price-1\n');
    await channel.close?.();
  } finally {
    receiver.kill();
    await once(receiver, 'exit');
  }
});

test.each([
  ['notice.json', 'standard-webhooks'],
  ['event.json', 'cloudevents'],
] as const)('%s is what is sent', async (name, format) => {
  const receiver = await openReceiver();
  const channel = webhook({
    url: receiver.url,
    secrets: ['env:COUNTERSIGN_WEBHOOK_SECRET'],
    allow: { loopback: true },
    format,
  });
  await channel.deliver(notice(), delivery());
  expect(JSON.parse(receiver.seen[0]?.body ?? '')).toEqual(JSON.parse(snippet(name)));
  await channel.close?.();
  await receiver.stop();
});

test('the table of kinds is the code’s', () => {
  const rows = [...page.matchAll(/^\| `(\w+)` .*\| (\S.*?) +\|$/gm)];
  expect(rows.map(([, kind]) => kind)).toEqual([...NOTICE_KINDS]);
  expect(rows.filter(([, , told]) => told === 'yes').map(([, kind]) => kind)).toEqual([...DEFAULT_KINDS]);
});
