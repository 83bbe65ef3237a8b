import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { digest } from '../../src/action/json.js';
import type { HttpOptions } from '../../src/tools/index.js';
import { expectCode } from './conformance.js';
import { answer, BALANCE, execute, freePort, PAY, rawServer, toolOn } from './http-support.js';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A server whose probe works and whose effect is handled by `fault`. */
async function faulty(fault: (socket: Socket, request: string) => void, options: Partial<HttpOptions> = {}) {
  const effects: string[] = [];
  const server = await rawServer((socket, request) => {
    if (request.startsWith('GET /balance')) return void socket.end(BALANCE);
    effects.push(request);
    fault(socket, request);
  });
  const tool = toolOn(server.url, { operations: PAY, ...options });
  closing.push(
    () => tool.close(),
    () => server.stop(),
  );
  return { server, tool, effects };
}

/** So that a test does not wait for long. */
const BRIEFLY = { max: 20, withinMs: 1_000 };
const INPUT = { op: 'pay', body: { amount: 1 } };

describe('an effect that was never sent', () => {
  test('to a service that refuses connections is unavailable', async () => {
    const tool = toolOn(`http://127.0.0.1:${await freePort()}`, {
      operations: PAY,
      limits: { totalMs: 5_000 },
      sends: BRIEFLY,
    });
    closing.push(() => tool.close());
    const error = await expectCode(execute(tool, INPUT, { preDigest: 'sha256:0' }), 'TOOL_UNAVAILABLE');
    expect(error.message).toContain('ECONNREFUSED');
  });

  test('to a name that does not resolve is unavailable', async () => {
    const lookup: HttpOptions['lookup'] = (hostname, _options, callback) =>
      callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND' }), '', 4);
    const tool = toolOn('https://payments.example', {
      operations: PAY,
      lookup,
      limits: { totalMs: 5_000 },
      sends: BRIEFLY,
    });
    closing.push(() => tool.close());
    const error = await expectCode(execute(tool, INPUT, { preDigest: 'sha256:0' }), 'TOOL_UNAVAILABLE');
    expect(error.message).toContain('ENOTFOUND');
  });

  test('because the service went away after the capture is unavailable; when it comes back in time, it is sent once', async () => {
    const gate: { refuse: boolean } = { refuse: false };
    const effects: string[] = [];
    const service = await rawServer((socket, request) => {
      if (request.startsWith('GET')) return void socket.end(BALANCE);
      effects.push(request);
      socket.end(answer('{}'));
    });
    // A proxy in front of the service that can reset connections before it reads anything.
    const proxy = await rawServer((socket, request) => {
      if (gate.refuse) {
        gate.refuse = false;
        return void socket.resetAndDestroy();
      }
      const through = connect(Number(new URL(service.url).port), '127.0.0.1');
      through.write(request, 'latin1');
      through.pipe(socket);
    });
    const tool = toolOn(proxy.url, { operations: PAY });
    closing.push(
      () => tool.close(),
      () => proxy.stop(),
      () => service.stop(),
    );
    const first = await execute(tool, INPUT);
    expect(first.result).toMatchObject({ status: 200 });
    gate.refuse = true;
    // The connection of the probe before the effect is reset: nothing was sent, and it is tried again.
    await execute(tool, INPUT, { preDigest: digest({ balance: { amount: 1 } }) });
    expect(effects).toHaveLength(2);
  });

  test('because it was cancelled first leaves no request', async () => {
    const { tool, effects } = await faulty((socket) => void socket.end(answer('{}')));
    await expectCode(execute(tool, INPUT, { signal: AbortSignal.abort() }), 'TOOL_UNAVAILABLE');
    expect(effects).toEqual([]);
  });
});

describe('an effect that was sent and has no complete response is unknown', () => {
  const faults: Record<string, (socket: Socket) => void> = {
    'the connection is reset after the request was read': (socket) => void socket.resetAndDestroy(),
    'the connection is closed without a word': (socket) => void socket.end(),
    'the answer stops within its headers': (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-le'),
    'the answer is shorter than it says': (socket) =>
      void socket.end('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"a":1}'),
    'the chunks are garbage': (socket) =>
      void socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZZ\r\nnot a chunk'),
    'the last chunk never comes': (socket) =>
      void socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n'),
    'the answer is not HTTP': (socket) => void socket.end('SSH-2.0-OpenSSH_9.6\r\n'),
    'there are two lengths': (socket) =>
      void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}'),
    'the body is not JSON': (socket) => void socket.end(answer('{"a":')),
    'the body is not UTF-8': (socket) => void socket.end(Buffer.from(answer('"\xff\xfe"'), 'latin1')),
    'the body has a key twice': (socket) => void socket.end(answer('{"a":1,"a":2}')),
    'the body does not unpack': (socket) =>
      void socket.end(answer('not gzip', 'content-type: application/json\r\ncontent-encoding: gzip')),
    'the body is packed twice': (socket) =>
      void socket.end(answer('xx', 'content-type: application/json\r\ncontent-encoding: gzip, gzip')),
    'the body is larger than allowed': (socket) => void socket.end(answer(`"${'x'.repeat(5_000)}"`)),
    'the body never ends': (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      const chunk = `1000\r\n${'x'.repeat(0x1000)}\r\n`;
      const more = (): void => void (socket.writable && socket.write(chunk) && setImmediate(more));
      socket.on('drain', more);
      more();
    },
    'the body is a bomb': (socket) => {
      const bomb = gzipSync(Buffer.alloc(2_000_000, ' '));
      socket.write(
        `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n\r\n`,
      );
      socket.end(bomb);
    },
    'the headers never come': () => {},
    'the headers come letter by letter': (socket) => {
      const letters = 'HTTP/1.1 200 OK\r\nx-slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'.split('');
      const timer = setInterval(() => void (socket.writable && socket.write(letters.shift() ?? 'a')), 40);
      socket.on('close', () => clearInterval(timer));
    },
    'the body comes letter by letter': (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n');
      const timer = setInterval(() => void (socket.writable && socket.write(' ')), 40);
      socket.on('close', () => clearInterval(timer));
    },
    'it leads elsewhere': (socket) =>
      void socket.end('HTTP/1.1 302 Found\r\nlocation: /balance\r\ncontent-length: 0\r\n\r\n'),
    'the service fails': (socket) => void socket.end('HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n'),
    'a gateway gives up': (socket) => void socket.end('HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 0\r\n\r\n'),
  };

  test.each(Object.entries(faults))('%s', async (_name, fault) => {
    const { tool, effects } = await faulty(fault, {
      limits: { totalMs: 3_000, headersMs: 2_000, bodyMs: 2_000, bodyBytes: 4_096 },
    });
    const error = await expectCode(execute(tool, INPUT), 'EFFECT_UNKNOWN');
    expect(error.retryable).toBe(false);
    expect(effects).toHaveLength(1);
  });

  test.each([
    ['the body is a bomb', 'unpacks to more than 4096 bytes'],
    ['the body is larger than allowed', 'larger than 4096 bytes'],
    ['the body never ends', 'larger than 4096 bytes'],
    ['the body comes letter by letter', 'the time for it was over'],
    ['the connection is closed without a word', 'other side closed'],
  ])('%s: the reason is %s', async (name, reason) => {
    const fault = faults[name];
    if (fault === undefined) throw new Error(name);
    const { tool } = await faulty(fault, { limits: { totalMs: 3_000, bodyBytes: 4_096 } });
    expect((await expectCode(execute(tool, INPUT), 'EFFECT_UNKNOWN')).message).toContain(reason);
  });

  test('it is cancelled while it waits', async () => {
    const cancel = new AbortController();
    const { tool, effects } = await faulty(() => cancel.abort());
    await expectCode(execute(tool, INPUT, { signal: cancel.signal }), 'EFFECT_UNKNOWN');
    expect(effects).toHaveLength(1);
  });
});

describe('a read that fails is only unavailable', () => {
  test.each([
    ['reset', (socket: Socket) => void socket.resetAndDestroy()],
    ['cut short', (socket: Socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}')],
    ['answered with 502', (socket: Socket) => void socket.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n')],
  ])('%s', async (_name, fault) => {
    const { tool } = await faulty(fault);
    const error = await expectCode(execute(tool, { op: 'look' }), 'TOOL_UNAVAILABLE');
    expect(error.retryable).toBe(true);
  });
});

describe('responses sent twice', () => {
  test('are not taken for the response to the next request', async () => {
    let count = 0;
    const server = await rawServer((socket, request) => {
      count++;
      const one = answer(`{"amount":${count}}`, 'content-type: application/json\r\nconnection: keep-alive');
      socket.write(one + one);
      expect(request).toMatch(/\r\nconnection: close\r\n/i);
    });
    const tool = toolOn(server.url, { operations: PAY });
    closing.push(
      () => tool.close(),
      () => server.stop(),
    );
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push((await execute(tool, { op: 'look' })).result);
    expect(answers).toEqual([1, 2, 3, 4].map((amount) => ({ status: 200, body: { amount } })));
    expect(server.connections).toBe(4);
  });
});

describe('bodies', () => {
  async function bodyOf(raw: string): Promise<unknown> {
    const { tool } = await faulty((socket) => void socket.end(Buffer.from(raw, 'latin1')));
    return ((await execute(tool, { op: 'look' })).result as { body: unknown }).body;
  }

  test.each<[string, string, unknown]>([
    [
      'integers that a double cannot carry stay exact, as texts',
      answer('{"id":12345678901234567890}'),
      { id: '12345678901234567890' },
    ],
    [
      'problem documents are JSON',
      answer('{"title":"x"}', 'content-type: application/problem+json; charset=utf-8'),
      { title: 'x' },
    ],
    ['texts are texts', answer('hello', 'content-type: text/plain'), 'hello'],
    ['nothing is null', answer('', 'content-type: application/json'), null],
  ])('%s', async (_name, raw, expected) => {
    expect(await bodyOf(raw)).toEqual(expected);
  });

  test('that are compressed once are decompressed', async () => {
    const packed = gzipSync('{"ok":true}').toString('latin1');
    const raw = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: ${packed.length}\r\n\r\n${packed}`;
    expect(await bodyOf(raw)).toEqual({ ok: true });
  });

  test('that are not text are replaced by their digest', async () => {
    expect(await bodyOf(answer('\x00\x01\x02', 'content-type: image/png'))).toMatchObject({
      contentType: 'image/png',
      bytes: 3,
    });
  });
});
