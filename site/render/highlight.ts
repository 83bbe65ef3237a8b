/** Colours for code: marked up when the site is built, so that no script does it in the browser. */
import { createRequire } from 'node:module';
import { cedar, type Highlighter } from './cedar-language.js';

const require = createRequire(import.meta.url);
const hljs = require('highlight.js/lib/core') as Highlighter;

const LANGUAGES = ['bash', 'javascript', 'json', 'python', 'sql', 'typescript', 'yaml', 'cedar'] as const;
for (const name of LANGUAGES) {
  hljs.registerLanguage(name, name === 'cedar' ? cedar : (require(`highlight.js/lib/languages/${name}`) as unknown));
}

/** What blocks of code and files call them. */
const NAMES: Readonly<Record<string, (typeof LANGUAGES)[number]>> = {
  sh: 'bash',
  js: 'javascript',
  mjs: 'javascript',
  cjs: 'javascript',
  ts: 'typescript',
  tsx: 'typescript',
  py: 'python',
  yml: 'yaml',
  cedarschema: 'cedar',
};
const PLAIN = new Set(['', 'text', 'txt', 'md']);

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** The code as HTML; undefined where the language is unknown. */
export function highlighted(code: string, language: string): string | undefined {
  if (PLAIN.has(language)) return escaped(code);
  const name = NAMES[language] ?? language;
  return LANGUAGES.some((one) => one === name) ? hljs.highlight(code, { language: name }).value : undefined;
}
