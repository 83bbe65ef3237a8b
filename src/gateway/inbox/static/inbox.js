/** What makes the pages lively. They work without it, except for passkeys: nothing here is needed to read or to decide. */
import './theme.js';
import './times.js';
import './live.js';
import './keys.js';
import { openWanted } from './decision.js';

openWanted();
document.documentElement.dataset.ready = '';
