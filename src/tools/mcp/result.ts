/** The result of a call: as plain JSON, without what is not the agent's, and never larger than a bound. */
import type { CallToolResult } from '@modelcontextprotocol/client';
import { CountersignError } from '../../action/errors.js';
import { assertJson, type Json, type JsonObject } from '../../action/json.js';
import { sanitize } from '../../presentation/sanitize.js';
import type { Secrets } from '../../http/secrets.js';

/** Whose words an error quotes. */
export interface About {
  /** The name of the Countersign tool. */
  readonly tool: string;
  readonly secrets: Secrets;
}

/** What a server answered to a call. */
export interface McpResult {
  readonly content: readonly JsonObject[];
  readonly structuredContent?: Json;
  readonly isError?: true;
}

/** A result that was cut, and says so. */
export interface CutResult extends McpResult {
  readonly truncated: true;
  readonly limit: string;
  readonly more: string;
}

const MAX_MESSAGE = 300;
/** What a cut result says of the cut. Bytes, rounded up. */
const ABOUT_THE_CUT = 512;

/** @throws CountersignError INVALID_* when it is no JSON that can be kept */
export function resultOf({ content = [], structuredContent, isError }: Partial<CallToolResult>): McpResult {
  const plain = content.map(({ _meta, ...block }) => block);
  assertJson(plain, 'result.content');
  if (structuredContent !== undefined) assertJson(structuredContent, 'result.structuredContent');
  return {
    content: plain as JsonObject[],
    ...(structuredContent === undefined ? {} : { structuredContent }),
    ...(isError === true ? { isError } : {}),
  };
}

/** Leaves a result that fits as it is. Of a larger one, texts are kept from the start on until the bound is reached, and nothing else. */
export function bounded(result: McpResult, bytes: number): McpResult | CutResult {
  const size = Buffer.byteLength(JSON.stringify(result));
  if (size <= bytes) return result;
  const content: JsonObject[] = [];
  let left = bytes - ABOUT_THE_CUT;
  for (const { type, text } of result.content) {
    if (type !== 'text' || typeof text !== 'string' || left <= 0) continue;
    const kept = beginningOf(text, left);
    left -= Buffer.byteLength(JSON.stringify(kept));
    content.push({ type, text: kept });
  }
  return {
    content,
    truncated: true,
    limit: `${bytes} bytes`,
    more: `The whole result has ${size} bytes. Ask the tool for less at a time: a part, a page, fewer objects.`,
  };
}

/** As much of the beginning of a text as fits in so many bytes of JSON, in which escapes can make it six times as long. */
function beginningOf(text: string, bytes: number): string {
  let kept = text;
  for (;;) {
    const size = Buffer.byteLength(JSON.stringify(kept));
    if (size <= bytes) return kept;
    kept = text.slice(0, Math.floor((kept.length * bytes) / size) - 1).toWellFormed();
  }
}

/** The texts of a result, one after the other. */
export function textOf({ content }: McpResult): string {
  return content.flatMap(({ type, text }) => (type === 'text' && typeof text === 'string' ? [text] : [])).join('\n');
}

/** The error of a call that the server says has failed, with the server's own words. */
export function callFailed(about: About, name: string, words: string): CountersignError {
  return new CountersignError('TOOL_FAILED', `${name} on ${about.tool} failed${wordsOf(about, words)}.`, {
    fix: "Read the server's own message; correct the input.",
  });
}

/** What a server said, on one line and in brackets. It is data: quoted and cut, with secrets struck out. */
export function wordsOf({ secrets }: Pick<About, 'secrets'>, text: string): string {
  const line = sanitize(secrets.strike(text).replaceAll(/\s+/gu, ' ').trim(), { max: MAX_MESSAGE });
  return line === '' ? '' : ` (${line})`;
}
