/** `npm run check:python`: the Python client against a real gateway, its types and its wheel. Not part of `npm test`. With CREWAI=1 its adapter for CrewAI too. */
import base from './vitest.config.js';

const crewai = process.env['CREWAI'] === undefined ? [] : ['test/python/crewai.ts'];

export default { ...base, test: { ...base.test, include: ['test/python/client.ts', ...crewai] } };
