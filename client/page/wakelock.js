/**
 * Keeps the display awake while the page is in front. Where that is not allowed, or not known, the page is
 * as good as without it: nobody is told.
 */

import { browser } from '../stream/environment.js';

/**
 * @typedef {object} WakeEnvironment
 * @property {Pick<WakeLock, 'request'> | null} wakeLock Null where the browser has none, as on pages without HTTPS.
 * @property {Pick<Document, 'visibilityState' | 'addEventListener'>} page
 * @property {Pick<import('../stream/environment.js').Environment, 'setTimer' | 'clearTimer'>} environment
 */

// A system that refuses the lock, or takes it from a page in front, has a reason which may pass: a battery that is
// charged, say.
const PATIENCE_MS = 30_000;

/**
 * @param {{ wakeLock?: WakeLock }} [device] Whose newer members are looked for, not relied on.
 * @returns {WakeEnvironment} The browser's own.
 */
function browserWake({ wakeLock = undefined } = navigator) {
    return { wakeLock: wakeLock ?? null, page: document, environment: browser };
}

/**
 * Browsers take the lock away when the page is hidden: it is asked for again whenever the page is back in front.
 * Where it is refused to a page in front, or taken from it, it is asked for after a while.
 *
 * @param {WakeEnvironment} [environment]
 * @returns {() => Promise<void>} Lets the display sleep again.
 */
export function keepAwake({ wakeLock, page, environment } = browserWake()) {
    const stopped = new AbortController();
    const { signal } = stopped;
    /** @type {Pick<WakeLockSentinel, 'release' | 'released' | 'addEventListener'> | null} */
    let lock = null;
    let isAsking = false;
    /** @type {any} */
    let timer = null;

    const ask = async () => {
        environment.clearTimer(timer);
        if (wakeLock === null || isAsking || signal.aborted || page.visibilityState !== 'visible') {
            return;
        }
        if (lock !== null && !lock.released) {
            return;
        }
        isAsking = true;
        // Refused on a low battery, say: asked for again after a while, or when the page comes to the front.
        lock = await wakeLock.request('screen').catch(() => null);
        isAsking = false;
        if (signal.aborted) {
            await letGo();
        } else if (lock === null) {
            askLater();
        } else {
            lock.addEventListener('release', askLater, { signal });
        }
    };

    const askLater = () => {
        environment.clearTimer(timer);
        timer = environment.setTimer(() => void ask(), PATIENCE_MS);
    };

    const letGo = async () => {
        const held = lock;
        lock = null;
        await held?.release().catch(() => {});
    };

    page.addEventListener('visibilitychange', () => void ask(), { signal });
    void ask();
    return async () => {
        stopped.abort();
        environment.clearTimer(timer);
        await letGo();
    };
}
