/** `npm run check:mcp`: what passes MCP's conformance suite directly passes it through Countersign. Not part of `npm test`. */
import base from './vitest.config.js';

export default { ...base, test: { ...base.test, include: ['test/mcp/conformance.ts'] } };
