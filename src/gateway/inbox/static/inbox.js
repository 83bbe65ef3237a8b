/** What makes the pages lively. They work without it, except for passkeys: nothing here is needed to read or to decide. */
import { listenToForms, openWanted } from './decision.js';
import { listenToKeys } from './keys.js';
import { followEvents } from './live.js';
import { offerThemes } from './theme.js';
import { keepTimes } from './times.js';

offerThemes();
keepTimes();
followEvents();
listenToForms();
listenToKeys();
openWanted();
document.documentElement.dataset.ready = '';
