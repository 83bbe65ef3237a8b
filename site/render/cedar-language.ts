/** Cedar's policies and schemas for highlight.js, which knows neither (https://docs.cedarpolicy.com/policies/syntax-grammar.html). */
/** What is used of highlight.js: its own types bring those of a browser with them, which are not those of Node.js. */
export interface Highlighter {
  readonly QUOTE_STRING_MODE: object;
  readonly C_LINE_COMMENT_MODE: object;
  readonly C_NUMBER_MODE: object;
  registerLanguage(name: string, language: unknown): void;
  highlight(code: string, options: { readonly language: string }): { readonly value: string };
}

export function cedar(hljs: Highlighter): object {
  return {
    name: 'Cedar',
    keywords: {
      keyword: 'permit forbid when unless in is has like if then else namespace entity action type appliesTo enum tags',
      literal: ['true', 'false'],
      built_in: ['principal', 'resource', 'context', 'Long', 'String', 'Bool', 'Set', 'decimal', 'ip', 'datetime'],
    },
    contains: [
      hljs.C_LINE_COMMENT_MODE,
      hljs.QUOTE_STRING_MODE,
      hljs.C_NUMBER_MODE,
      { scope: 'meta', match: /@\w+/ },
      { scope: 'title.class', match: /\b[A-Z]\w*(?:::[A-Z]\w*)+/ },
    ],
  };
}
