/** Tells Stryker to leave alone texts with a blank: they are sentences for people. A text without one is a name that programs compare, and is changed. */
function isSentence(path) {
  if (path.isStringLiteral()) return path.node.value.includes(' ');
  return path.isTemplateLiteral() && path.node.quasis.some(({ value }) => value.raw.includes(' '));
}

export const strykerPlugins = [
  {
    kind: 'Ignore',
    name: 'words',
    value: { shouldIgnore: (path) => (isSentence(path) ? 'It is a text for people.' : undefined) },
  },
];
