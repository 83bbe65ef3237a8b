/**
 * Writes multipart/form-data (RFC 7578). The platform's FormData is not used: it draws another boundary for each request, so that a retry
 * under the same idempotency key would not be the same request, and it changes the line ends of texts.
 */
import { createHash } from 'node:crypto';

export interface Part {
  readonly name: string;
  readonly content: string | Uint8Array;
  readonly filename?: string;
  readonly contentType?: string;
}

export interface EncodedBody {
  readonly contentType: string;
  readonly bytes: string | Uint8Array;
}

/** The boundary is a digest of the parts, so the same parts are the same bytes, and no part can contain it. */
export function encodeMultipart(parts: readonly Part[]): EncodedBody {
  const written = parts.map((part) => [headersOf(part), Buffer.from(part.content)] as const);
  const hash = createHash('sha256');
  for (const [headers, content] of written)
    hash.update(`${headers.length} ${content.length} ${headers}`).update(content);
  const boundary = `countersign-${hash.digest('hex')}`;
  const chunks = written.flatMap(([headers, content]) => [
    Buffer.from(`--${boundary}\r\n${headers}\r\n\r\n`),
    content,
    Buffer.from('\r\n'),
  ]);
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    bytes: Buffer.concat([...chunks, Buffer.from(`--${boundary}--\r\n`)]),
  };
}

function headersOf({ name, filename, contentType }: Part): string {
  const file = filename === undefined ? '' : `; filename="${escaped(filename)}"`;
  const type = contentType === undefined ? '' : `\r\nContent-Type: ${contentType}`;
  return `Content-Disposition: form-data; name="${escaped(name)}"${file}${type}`;
}

/** As browsers escape names (WHATWG HTML, multipart form data). */
function escaped(name: string): string {
  return name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}
