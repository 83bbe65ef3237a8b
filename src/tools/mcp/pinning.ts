/** Accepting the definitions of a server's tools: what is accepted, what the server says now, and how they differ. */
import type { Definition, Definitions, Pinnable } from '../pinnable.js';
import { definitionDigest } from './definitions.js';
import { writePins } from './pins.js';

/** One tool whose definition is not the accepted one. */
export interface Difference {
  readonly name: string;
  readonly accepted: Definition | undefined;
  readonly offered: Definition | undefined;
}

/** In the order of their names. */
export function differencesOf({ accepted, used }: Pinnable, offered: Definitions): readonly Difference[] {
  const names = [...new Set([...accepted.keys(), ...used])].sort();
  return names.flatMap((name) => {
    const [before, now] = [accepted.get(name), offered.get(name)];
    const same = before !== undefined && now !== undefined && definitionDigest(before) === definitionDigest(now);
    return same || (before === undefined && now === undefined) ? [] : [{ name, accepted: before, offered: now }];
  });
}

/** What would be pinned: what the server says now of the tools that are used. Tools that it does not offer any more are forgotten. */
export function pinsOf({ used }: Pinnable, offered: Definitions): Definitions {
  const kept = used.flatMap((name) => {
    const definition = offered.get(name);
    return definition === undefined ? [] : [[name, definition] as const];
  });
  return new Map(kept);
}

/** Accepts it. */
export async function accept(tool: string, pinnable: Pinnable, offered: Definitions): Promise<void> {
  await writePins(pinnable.file, tool, pinsOf(pinnable, offered));
}
