/** Checks how an operation says that its query and body are written. */
import { configInvalid } from '../../action/errors-config.js';
import { FIELD_STYLES, HEADER_STYLES, type FieldStyle, type HeaderStyle } from './fields.js';
import { MEDIA_TYPE } from './file-content.js';
import type { HttpOperation } from './options.js';
import { FORM, MULTIPART, type BodyFormat } from './request-body.js';

/** @throws CountersignError CONFIG_INVALID */
export function compileBodyFormat({ input = {} }: HttpOperation, field: string): BodyFormat {
  const { bodyType = 'application/json', styles = {} } = input;
  const type = bodyType.toLowerCase();
  if (!MEDIA_TYPE.test(type)) {
    throw configInvalid(`${field}.input.bodyType`, 'a media type such as application/json', "the tool's config");
  }
  const known = type === MULTIPART ? [...FIELD_STYLES, 'file'] : type === FORM ? FIELD_STYLES : [];
  checkStyles(styles.body ?? {}, known, `${field}.input.styles.body`);
  return { type, styles: { ...styles.body } };
}

/** @throws CountersignError CONFIG_INVALID */
export function compileQueryStyles({ input = {} }: HttpOperation, field: string): Readonly<Record<string, FieldStyle>> {
  checkStyles(input.styles?.query ?? {}, FIELD_STYLES, `${field}.input.styles.query`);
  return { ...input.styles?.query };
}

/** @throws CountersignError CONFIG_INVALID */
export function compileHeaderStyles(
  { input = {} }: HttpOperation,
  field: string,
): Readonly<Record<string, HeaderStyle>> {
  checkStyles(input.styles?.headers ?? {}, HEADER_STYLES, `${field}.input.styles.headers`);
  return { ...input.styles?.headers };
}

function checkStyles(styles: Readonly<Record<string, string>>, known: readonly string[], field: string): void {
  const foreign = Object.entries(styles).find(([, style]) => !known.includes(style));
  if (foreign === undefined) return;
  const expected = known.length === 0 ? 'left out, because the body is no form' : `one of: ${known.join(', ')}`;
  throw configInvalid(`${field}.${foreign[0]}`, expected, "the tool's config");
}
