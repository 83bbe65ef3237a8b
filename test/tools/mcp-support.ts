/** Helpers for the tests of the `mcp` tool: real servers, pinned as they are, behind it. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { argumentsFor, FLAGS } from '../../scripts/program.js';
import { mcp, type McpInput, type McpOptions, type McpToolOptions, type StdioServer } from '../../src/tools/index.js';
import { accept } from '../../src/tools/mcp/pinning.js';
import type { Tool } from '../../src/tools/tool.js';
import { never } from './conformance.js';
import type { Notes } from '../support/mcp-notes.js';

/** A folder for pins and files. */
export async function temporaryFolder(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-mcp-'));
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

export function pinsIn(folder: string): string {
  return path.join(folder, 'pins.json');
}

/** A server of an npm package, as a process. */
export function packaged(name: string, ...args: readonly string[]): StdioServer {
  const file = fileURLToPath(import.meta.resolve(`@modelcontextprotocol/${name}/dist/index.js`));
  return { command: process.execPath, args: [...FLAGS, file, ...args] };
}

/** The notes server as a process on its folder. */
export function notesProcess({ folder }: Pick<Notes, 'folder'>): StdioServer {
  const file = fileURLToPath(new URL('../support/mcp-notes.ts', import.meta.url));
  return { command: process.execPath, args: [...argumentsFor(file), folder] };
}

/** A tool whose definitions are accepted as the server has them now. */
export async function pinnedTool(options: McpOptions): Promise<Tool<McpInput>> {
  const unpinned = mcp(options);
  try {
    const { pinning } = unpinned;
    if (pinning !== undefined) await accept(options.name, pinning, await pinning.offered(never()));
  } finally {
    await unpinned.close();
  }
  return mcp(options);
}

export const WRITE_NOTE: McpToolOptions = {
  actionType: 'WRITE',
  target: 'notes',
  probes: { note: { tool: 'read_note', arguments: { id: '{id}' }, at: '/text', absent: ['ENOENT'] } },
  ensures: ['post.note == input.arguments.text'],
  changes: ['/note'],
};

export const DELETE_NOTE: McpToolOptions = {
  target: 'notes',
  probes: { note: { tool: 'read_note', arguments: { id: '{id}' }, at: '/text', absent: ['ENOENT'], mustFind: true } },
  ensures: ['post.note == null'],
  changes: ['/note'],
};
