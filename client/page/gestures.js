/** Nothing that a passing hand does to a picture changes the page: no menu, no selection, no scrolling, no zoom. */

// What would select, drag or open something; `gesturestart` is Safari's pinch.
const ACCIDENTS = ['contextmenu', 'selectstart', 'dragstart', 'gesturestart'];

/**
 * @param {EventTarget} target
 * @returns {() => void} Stops it.
 */
export function ignoreAccidents(target) {
    const stopped = new AbortController();
    const { signal } = stopped;
    const prevent = (/** @type {Event} */ event) => {
        // One that cannot be prevented any more is complained of by the browser.
        if (event.cancelable) {
            event.preventDefault();
        }
    };
    for (const type of ACCIDENTS) {
        target.addEventListener(type, prevent, { signal });
    }
    // A trackpad's pinch comes as a wheel with the control key. Passive listeners could not prevent either.
    target.addEventListener('wheel', prevent, { signal, passive: false });
    target.addEventListener('touchmove', prevent, { signal, passive: false });
    return () => stopped.abort();
}
