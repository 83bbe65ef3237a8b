/**
 * `npm run check:peers`: what is held against programs that others wrote, which come from their registries: Schemathesis, the conformance suite of MCP,
 * Mastra, other runtimes of JavaScript, and the frameworks and checkers of Python. Not part of `npm test`. With CREWAI=1 the adapter for CrewAI too.
 */
import base from './vitest.config.js';

const crewai = process.env['CREWAI'] === undefined ? [] : ['test/python/crewai.ts'];

export default {
  ...base,
  test: {
    ...base.test,
    include: [
      'test/api/conformance.ts',
      'test/node22/adapters.ts',
      'test/runtimes/client.ts',
      'test/mcp/conformance.ts',
      'test/python/client.ts',
      'test/python/trail.ts',
      ...crewai,
    ],
  },
};
