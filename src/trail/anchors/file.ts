/** An anchor that appends checkpoints to a file, such as one on a write-once volume of somebody else's. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { checkedName } from '../../notify/options.js';
import { anchorFailed, anchorText, type Anchor } from './anchor.js';
import { appendLine } from './lines.js';

/** Which file checkpoints are appended to. */
export interface FileAnchorOptions {
  /** The name, unique among the anchors. Default `file`. */
  readonly name?: string;
  /** The file, JSON Lines. It is made when missing. */
  readonly path: string;
}

/** @throws CountersignError CONFIG_INVALID */
export function fileAnchor({ name: given = 'file', path: file }: FileAnchorOptions): Anchor {
  const name = checkedName(given, 'fileAnchor.name');
  return {
    name,
    async put(checkpoint) {
      try {
        await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
        await appendLine(file, anchorText(checkpoint));
        return `appended to ${file}`;
      } catch (error) {
        throw anchorFailed(name, (error as Error).message, error);
      }
    },
  };
}
