/**
 * Keeps the display awake while the page is in front. Where that is not allowed, or not known, the page is
 * as good as without it: nobody is told.
 */

/**
 * @typedef {object} WakeEnvironment
 * @property {Pick<WakeLock, 'request'> | null} wakeLock Null where the browser has none, as on pages without HTTPS.
 * @property {Pick<Document, 'visibilityState' | 'addEventListener'>} page
 */

/**
 * @param {{ wakeLock?: WakeLock }} [device] Whose newer members are looked for, not relied on.
 * @returns {WakeEnvironment} The browser's own.
 */
function browserWake({ wakeLock = undefined } = navigator) {
    return { wakeLock: wakeLock ?? null, page: document };
}

/**
 * Browsers take the lock away when the page is hidden: it is asked for again whenever the page is back in front.
 *
 * @param {WakeEnvironment} [environment]
 * @returns {() => Promise<void>} Lets the display sleep again.
 */
export function keepAwake({ wakeLock, page } = browserWake()) {
    const stopped = new AbortController();
    const { signal } = stopped;
    /** @type {Pick<WakeLockSentinel, 'release' | 'released'> | null} */
    let lock = null;
    let isAsking = false;

    const ask = async () => {
        if (wakeLock === null || isAsking || signal.aborted || page.visibilityState !== 'visible') {
            return;
        }
        if (lock !== null && !lock.released) {
            return;
        }
        isAsking = true;
        // Refused on a low battery, say; the next time that the page comes to the front is another chance.
        lock = await wakeLock.request('screen').catch(() => null);
        isAsking = false;
        if (signal.aborted) {
            await letGo();
        }
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
        await letGo();
    };
}
