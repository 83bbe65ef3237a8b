/** The formatter keeps what a file means and every comment, and formatting twice changes nothing more. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatCedar } from '../../src/policy/authoring/format.js';
import { newCedar } from '../../src/policy/cedar.js';
import { starterFolder } from '../../src/policy/index.js';

const cedar = newCedar();
const names = (await readdir(starterFolder())).filter((name) => name.endsWith('.cedar'));

function meaning(text: string): unknown {
  const parts = cedar.policySetTextToParts(text);
  if (parts.type === 'failure') throw new Error('not Cedar');
  return parts.policies.map((policy) => cedar.policyToJson(policy));
}

const comments = (text: string): string[] => (text.match(/\/\/.*$/gm) ?? []).map((line) => line.trimEnd());

const ODD = `

// at the head


// of the file
@id("a") // why
permit(principal, // who
 action, resource) when { // c1
 context.rows < 5 // c2
 && // c3
 true
 // c4
 }; // tail
// before b
@id("b") permit(principal,action,resource);@id("c")
forbid(principal,action,resource) when { context.operation == "// no comment" };

// at the end
`;

describe.each([...names.map((name) => [name, undefined] as const), ['odd.cedar', ODD] as const])(
  '%s',
  (name, given) => {
    test('means the same, keeps its comments, and stays when it is formatted again', async () => {
      const text = given ?? (await readFile(path.join(starterFolder(), name), 'utf8'));
      const formatted = formatCedar(name, text);
      expect(meaning(formatted)).toEqual(meaning(text));
      expect(comments(formatted)).toEqual(comments(text));
      expect(formatCedar(name, formatted)).toBe(formatted);
      expect(formatted).not.toMatch(/\n\n\n|[ \t]\n|^\n/);
      expect(formatted.endsWith('\n')).toBe(true);
    });
  },
);

test('a comment above a policy stays above it, a heading stays apart', () => {
  expect(formatCedar('a.cedar', '// head\n\n// of a\n@id("a") permit(principal,action,resource);// end\n')).toBe(
    '// head\n\n// of a\n@id("a")\npermit (principal, action, resource); // end\n',
  );
});

test('what is not Cedar is refused with its place', () => {
  expect(() => formatCedar('a.cedar', 'permit (principal, action, resource)\n')).toThrow(
    expect.objectContaining({ code: 'POLICY_INVALID', field: expect.stringMatching(/^a\.cedar:/) as string }) as Error,
  );
});
