/** Where a page's screens run when they do not run in the page: its one worker. */

import { browser } from '../stream/environment.js';
import { Host } from './host.js';

new Host(/** @type {import('./messages.js').Port} */ (/** @type {unknown} */ (self)), browser);
