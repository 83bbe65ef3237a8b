/** The size of a picture, so that the page does not jump when it is there. */
import { openSync, readSync, closeSync } from 'node:fs';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Of a PNG, from its first chunk (https://www.w3.org/TR/png-3/#11IHDR). Undefined for what is none. */
export function sizeOfPng(file: string): { readonly width: number; readonly height: number } | undefined {
  const head = Buffer.alloc(24);
  const opened = openSync(file, 'r');
  try {
    readSync(opened, head, 0, head.length, 0);
  } finally {
    closeSync(opened);
  }
  if (!head.subarray(0, 8).equals(SIGNATURE)) return undefined;
  return { width: head.readUInt32BE(16), height: head.readUInt32BE(20) };
}
