/** Whether anything can be tried on a sandbox that was named. */
import { asCountersignError } from '../../action/errors.js';
import { differencesOf } from '../../tools/mcp/pinning.js';
import type { Tool } from '../../tools/tool.js';

/** How long a sandbox may take to answer. Milliseconds. */
const SANDBOX_MS = 15_000;

/** Why nothing can be tried on the sandbox: it does not answer, or is not of the version that was accepted. */
export async function unfitSandbox(tool: Tool): Promise<string | undefined> {
  const { name, pinning } = tool;
  const signal = AbortSignal.timeout(SANDBOX_MS);
  try {
    await tool.check?.({ signal });
    if (pinning === undefined) return undefined;
    const [other] = differencesOf(pinning, await pinning.offered(signal));
    if (other === undefined) return undefined;
    return `its sandbox does not describe ${other.name} as it was accepted: have both run the same version, or accept what it says (countersign mcp pin ${name})`;
  } catch (error) {
    return `its sandbox cannot be used: ${asCountersignError(error).message}`;
  }
}
