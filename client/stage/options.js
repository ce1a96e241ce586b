/** What the stage alone takes from its address, beside what every page does. */

import { SWITCH, queryOf } from '../page/options.js';
import { LIMITS, clean } from './text.js';

/**
 * @typedef {object} StageOptions
 * @property {boolean} hasHud `?hud=0` leaves the picture alone.
 * @property {string} caption `?caption=`: a line at the foot of the HUD; empty: none.
 */

/**
 * @param {{ search: string, hash?: string }} address
 * @param {(warning: string) => void} warn Called for each value that is not accepted.
 * @returns {StageOptions}
 */
export function stageOptions(address, warn) {
    const query = queryOf(address);
    const written = (query.get('hud') ?? '').trim();
    const hasHud = written === '' ? true : SWITCH.read(written);
    if (hasHud === undefined) {
        warn(`hud=${written.slice(0, 80)} is ignored: hud accepts ${SWITCH.accepts}`);
    }
    return { hasHud: hasHud ?? true, caption: clean(query.get('caption'), LIMITS.caption) };
}
