/** The log of the scratch world's workers, kept: everything that they would have written, however fine. */
import { Writable } from 'node:stream';
import pino, { type Logger } from 'pino';
import { HIDDEN, loggedError } from '../../telemetry/log-lines.js';
import { strikeSecrets } from '../../action/secrets.js';

export interface CapturedLog {
  readonly logger: Logger;
  text(): string;
}

/** Bytes: more is cut off at the beginning. */
const MOST = 32 * 1024 * 1024;

export function captureLog(): CapturedLog {
  let text = '';
  const kept = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text = (text + chunk.toString()).slice(-MOST);
      done();
    },
  });
  const options = {
    level: 'trace',
    hooks: { streamWrite: strikeSecrets },
    redact: { paths: HIDDEN, censor: '[hidden]' },
    serializers: { err: loggedError },
  };
  return { logger: pino(options, kept), text: () => text };
}
