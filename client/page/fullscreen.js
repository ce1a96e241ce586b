/**
 * Fullscreen on a double click, and back on the next one. Safari before 16.4 has it under a name of its own, and
 * the browsers of phones may have none: then nothing happens.
 */

/**
 * @typedef {object} OldDocument
 * @property {Element | null} [webkitFullscreenElement]
 * @property {() => void} [webkitExitFullscreen]
 *
 * @typedef {object} OldElement
 * @property {() => void} [webkitRequestFullscreen]
 */

/**
 * @param {HTMLElement & OldElement} element
 * @param {Document & OldDocument} [page]
 * @returns {() => void} Stops it.
 */
export function fullscreenOnDoubleClick(element, page = document) {
    const stopped = new AbortController();
    element.addEventListener('dblclick', () => void toggle(element, page), { signal: stopped.signal });
    return () => stopped.abort();
}

/**
 * @param {HTMLElement & OldElement} element
 * @param {Document & OldDocument} page
 */
async function toggle(element, page) {
    const isFull = (page.fullscreenElement ?? page.webkitFullscreenElement ?? null) !== null;
    try {
        if (isFull) {
            await (page.exitFullscreen ?? page.webkitExitFullscreen)?.call(page);
        } else {
            const request = element.requestFullscreen ?? element.webkitRequestFullscreen;
            // Browsers of phones would show their bars again.
            await request?.call(element, { navigationUI: 'hide' });
        }
    } catch {
        // A page in a frame may not, and OBS has no screen to fill.
    }
}
