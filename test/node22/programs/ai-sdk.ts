/** An agent of the AI SDK 7, which keeps nothing itself: the messages are what is kept of it. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, stepCountIs, type ModelMessage } from 'ai';
import { approvalResponses, countersignTool } from '../../../clients/typescript/src/ai-sdk.js';
import { Countersign } from '../../../clients/typescript/src/index.js';
import { CLERK_TOOLS } from '../../support/clerk.js';
import { serve } from '../protocol.js';

const provider = createOpenAICompatible({
  name: 'local',
  baseURL: process.env['OPENAI_BASE_URL'] ?? '',
  apiKey: 'none',
});

function toolsOf(thread: string) {
  const cs = new Countersign();
  const { delete_rows, archive_rows, add_note } = CLERK_TOOLS;
  return {
    delete_rows: countersignTool(cs, { ...delete_rows, inputSchema: delete_rows.schema, thread }),
    archive_rows: countersignTool(cs, { ...archive_rows, inputSchema: archive_rows.schema, thread }),
    add_note: countersignTool(cs, { ...add_note, inputSchema: add_note.schema, thread }),
  };
}

serve(async (asked) => {
  const tools = toolsOf(asked.thread);
  const messages: ModelMessage[] =
    asked.do === 'start' ? [{ role: 'user', content: asked.order }] : (JSON.parse(asked.kept) as ModelMessage[]);
  const responses = await approvalResponses(tools, messages);
  if (responses !== undefined) messages.push(responses);
  const model = provider('scripted');
  const { text, content, response } = await generateText({ model, tools, stopWhen: stepCountIs(5), messages });
  const paused = content.some(({ type }) => type === 'tool-approval-request');
  return paused ? { kept: JSON.stringify([...messages, ...response.messages]) } : { said: text };
});
