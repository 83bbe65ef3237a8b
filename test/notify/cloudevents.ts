/** What an event of CloudEvents 1.0 must be in the JSON format, in structured mode: the specification's sections 3.1 to 3.3 as a JSON Schema. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const text = { type: 'string', minLength: 1 } as const;

const EVENT = {
  type: 'object',
  required: ['id', 'source', 'specversion', 'type'],
  properties: {
    id: text,
    source: { ...text, format: 'uri-reference' },
    specversion: { const: '1.0' },
    type: text,
    datacontenttype: { ...text, pattern: '^[\\w!#$&^.+-]+/[\\w!#$&^.+-]+(?:;.*)?$' },
    dataschema: { ...text, format: 'uri' },
    subject: text,
    time: { ...text, format: 'date-time' },
    data: {},
    data_base64: { type: 'string', contentEncoding: 'base64' },
  },
  not: { required: ['data', 'data_base64'] },
  // Extensions are named in lower case letters and digits, and hold nothing but texts, booleans and integers of 32 bits.
  patternProperties: {
    '^(?!id$|source$|specversion$|type$|datacontenttype$|dataschema$|subject$|time$|data$)[a-z0-9]+$': {
      anyOf: [{ type: 'string' }, { type: 'boolean' }, { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 }],
    },
  },
  propertyNames: { pattern: '^(?:[a-z0-9]+|data_base64)$' },
} as const;

const ajv = new Ajv2020({ strict: false });
(addFormats as unknown as (on: Ajv2020) => void)(ajv);
const validate = ajv.compile(EVENT);

/** What is wrong with it; empty for an event. */
export function problemsOf(event: unknown): readonly string[] {
  if (validate(event)) return [];
  return (validate.errors ?? []).map(({ instancePath, message = '' }) => `${instancePath} ${message}`);
}
