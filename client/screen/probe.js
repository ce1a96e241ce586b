/**
 * Whether pictures can be made in a worker here: found out by starting it and having it try, not by
 * what a browser claims. Whatever is missing, fails, stays silent or comes late means the page's own
 * thread.
 */

/**
 * @typedef {object} Able
 * @property {Worker} worker The one that has answered, for the page to go on with.
 * @property {string[]} formats What it decodes.
 */

/**
 * Start a worker and have it tried.
 *
 * @param {() => Worker} startWorker May throw, where a browser has none or refuses.
 * @param {Pick<import('../stream/environment.js').Environment, 'setTimer' | 'clearTimer'>} environment
 * @param {number} patienceMs
 * @returns {Promise<Able | null>} Null where there is none; a worker that was started has been ended then.
 */
export async function findWorker(startWorker, environment, patienceMs) {
    let worker;
    try {
        worker = startWorker();
    } catch {
        return null;
    }
    const formats = await tried(worker, environment, patienceMs);
    if (formats === null) {
        worker.terminate();
        return null;
    }
    return { worker, formats };
}

/**
 * @param {Worker} worker
 * @param {Pick<import('../stream/environment.js').Environment, 'setTimer' | 'clearTimer'>} environment
 * @param {number} patienceMs
 * @returns {Promise<string[] | null>}
 */
function tried(worker, environment, patienceMs) {
    const listening = new AbortController();
    const { signal } = listening;
    return new Promise((resolve) => {
        const end = (/** @type {string[] | null} */ formats) => {
            listening.abort();
            environment.clearTimer(timer);
            resolve(formats);
        };
        const timer = environment.setTimer(() => end(null), patienceMs);
        const take = (/** @type {MessageEvent<import('./messages.js').ToPage>} */ { data }) => {
            if (data.kind === 'able') {
                end(data.formats);
            } else if (data.kind === 'unable') {
                end(null);
            }
        };
        worker.addEventListener('message', take, { signal });
        // A module that cannot be loaded, or a browser that takes it for a classic script.
        worker.addEventListener('error', () => end(null), { signal });
        worker.addEventListener('messageerror', () => end(null), { signal });
        worker.postMessage({ kind: 'probe' });
    });
}
