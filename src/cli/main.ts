#!/usr/bin/env node
/** The `countersign` command line. */
import { main } from './program.js';

await main(process.argv.slice(2));
