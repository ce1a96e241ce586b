/**
 * What a page does when its worker is gone: a canvas that was given to a worker cannot be taken back,
 * so the page is loaded anew once its server is there, and makes its pictures itself from then on. That
 * happens once in the life of a tab, since the tab remembers it.
 */

/**
 * @typedef {object} Tab
 * @property {() => Pick<Storage, 'getItem' | 'setItem'>} storage That lives as long as the tab does; may throw where a
 *     person has forbidden it.
 * @property {() => void} reload
 */

const KEY = 'psyche:worker-lost';

/**
 * Tell whether this tab has lost a worker before.
 *
 * @param {Tab} tab
 */
export function hasLostWorker(tab) {
    try {
        return tab.storage().getItem(KEY) !== null;
    } catch {
        return false;
    }
}

/**
 * Load the page anew, for it to do without a worker.
 *
 * @param {Tab} tab
 * @returns {boolean} False where nothing is remembered here: a page that is loaded again and again would be worse
 *     than one that stands still.
 */
export function recover(tab) {
    try {
        tab.storage().setItem(KEY, 'yes');
    } catch {
        return false;
    }
    tab.reload();
    return true;
}
