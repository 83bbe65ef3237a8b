/** The text of the first `countersign.config.mjs`. No secret stands in it. */
import { literal, literalList } from './literal.js';

export interface LeftOut {
  readonly name: string;
  readonly why: 'not chosen' | 'no key' | 'a name that proposals cannot say';
}

/** More of them are only counted: the config is to be read. */
const MOST_LEFT_OUT = 20;

export interface ConfigContent {
  readonly tool: string;
  readonly environment: string;
  readonly schema: string;
  /** Undefined: every table of the schema. */
  readonly tables: readonly string[] | undefined;
  readonly leftOut: readonly LeftOut[];
  /** The variable that holds the database's address. */
  readonly variable: string;
  readonly gatewayPort: number;
}

export function configText(content: ConfigContent): string {
  const { tool, environment, schema, tables, leftOut, variable, gatewayPort } = content;
  const options = [
    `name: ${literal(tool)},`,
    `environment: ${literal(environment)}, // what policies know the database as`,
    `url: process.env.${variable},`,
    ...(schema === 'public' ? [] : [`schema: ${literal(schema)},`]),
    ...(tables === undefined ? [] : [`tables: ${literalList(tables, '      ')},`]),
    ...leftOut.slice(0, MOST_LEFT_OUT).map(({ name, why }) => `// left out: ${literal(name)} (${why})`),
    ...(leftOut.length > MOST_LEFT_OUT ? [`// left out: ${leftOut.length - MOST_LEFT_OUT} more`] : []),
  ];
  return `import { existsSync } from 'node:fs';
import { defineConfig, postgres } from 'countersign/worker';

// Secrets stand in .env, which git ignores. Where the environment has them there need be no such file.
const secrets = new URL('.env', import.meta.url);
if (existsSync(secrets)) process.loadEnvFile(secrets);

export default defineConfig({
  policies: './policies',
  tools: [
    postgres({
${options.map((line) => `      ${line}\n`).join('')}    }),
  ],
  gateway: { port: ${gatewayPort} },
});
`;
}
