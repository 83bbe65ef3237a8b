/** The Cedar schema that policies are checked against, as the starter bundle has it. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';

const FILE = 'policies/starter/schema.cedarschema';

export async function cedarSchema(root: string): Promise<string> {
  return [
    '# The Cedar schema',
    `What policies know of principals, actions, resources and the context of a decision: the schema of the starter bundle, [${FILE}](../${FILE}). A bundle brings its own schema; \`countersign policy schema\` adds the inputs of your tools ([policies over arguments](policy-input.md)). [Writing policies](policy-authoring.md) begins where this ends.`,
    `\`\`\`cedarschema ${path.basename(FILE)}\n${await readFile(path.join(root, FILE), 'utf8')}\`\`\``,
  ].join('\n\n');
}
