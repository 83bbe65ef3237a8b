import { randomUUID } from 'node:crypto';
import path from 'node:path';
import type { JsonObject } from '../../src/action/json.js';
import type { McpOptions, McpToolOptions } from '../../src/tools/index.js';
import { describeTool } from './conformance.js';
import { openNotes } from '../support/mcp-notes.js';
import { DELETE_NOTE, pinnedTool, WRITE_NOTE } from './mcp-support.js';

const BY_KEY: Partial<McpToolOptions> = {
  idempotencyKey: { argument: '/request_id' },
  lookUp: { tool: 'find_key', arguments: { key: '{key}' }, at: '/did' },
};

async function scenario(write: Partial<McpToolOptions>, protocol: McpOptions['protocol'] = 'auto') {
  const notes = await openNotes();
  notes.write('readable', 'as it is');
  const declared = { ...WRITE_NOTE, ...write };
  const tool = await pinnedTool({
    name: 'notes',
    environment: 'test',
    server: { url: notes.url, allow: { loopback: true } },
    pins: path.join(notes.folder, 'pins.json'),
    protocol,
    tools: {
      write_note: declared,
      delete_note: { ...DELETE_NOTE, ...write },
    },
    reads: ['read_note', 'read_all'],
    sends: { max: 3 },
  });
  const idOf = (input: JsonObject): string => (input['arguments'] as { id: string }).id;
  return {
    tool,
    read: { tool: 'read_note', arguments: { id: 'readable' } },
    cut: { tool: 'read_all' },
    unmatched: { tool: 'delete_note', arguments: { id: 'none' } },
    invalid: { tool: 'read_note', arguments: { id: '../etc' } },
    write: async () => ({ tool: 'write_note', arguments: { id: randomUUID(), text: 'new' } }),
    effects: async (input: JsonObject) => (notes.read(idOf(input)) === 'new' ? 1 : 0),
    interfere: async (input: JsonObject) => notes.write(idOf(input), 'meanwhile'),
    putOff: async (input: JsonObject) => {
      notes.putOff = idOf(input);
      return { times: async () => notes.timesPutOff, perSend: 1 };
    },
    stop: async () => {
      await tool.close();
      await notes.stop();
    },
  };
}

describeTool('mcp, whose server knows keys', () =>
  scenario({ ...BY_KEY, idempotency: 'native', lookUp: { ...BY_KEY.lookUp, finalAfterMs: 0 } }),
);
describeTool('mcp, with a look-up', () => scenario({ ...BY_KEY, idempotency: 'lookup' }, '2026-07-28'));
describeTool('mcp of 2025-11-25, without either', () => scenario({}, '2025-11-25'));
