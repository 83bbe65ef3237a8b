/** Schemathesis (https://schemathesis.io) in a virtual environment of its own. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { virtualEnvironment } from '../support/python.js';

const REQUIREMENTS = fileURLToPath(new URL('requirements.txt', import.meta.url));

/** The program `st`, installed where it is not yet. @throws Error that says what to install, where Python is missing */
export async function schemathesis(): Promise<string> {
  return path.join(await virtualEnvironment('schemathesis', REQUIREMENTS, 'check:api'), 'st');
}
