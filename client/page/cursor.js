/** Hides the mouse's cursor while nobody moves it: it has no place on a picture. */

// As long as a hand rests before it goes on.
const IDLE_MS = 2000;

/**
 * @typedef {object} CursorEnvironment
 * @property {(callback: () => void, delayMs: number) => any} setTimer
 * @property {(handle: any) => void} clearTimer
 */

/**
 * Mark the element with `is-idle`, for the style sheet, until the mouse or a pen is moved, and again after a
 * while. Fingers have no cursor.
 *
 * @param {HTMLElement} element
 * @param {CursorEnvironment} environment
 * @returns {() => void} Stops it and shows the cursor.
 */
export function hideIdleCursor(element, environment) {
    const stopped = new AbortController();
    const { signal } = stopped;
    /** @type {any} */
    let timer = null;
    /** @type {[number, number] | null} */
    let last = null;

    const rest = () => {
        element.classList.toggle('is-idle', false);
        environment.clearTimer(timer);
        timer = environment.setTimer(() => element.classList.toggle('is-idle', true), IDLE_MS);
    };

    element.addEventListener(
        'pointermove',
        ({ pointerType, screenX, screenY }) => {
            // Browsers also tell of a move where it was the page that moved below the mouse.
            const hasMoved = last === null || last[0] !== screenX || last[1] !== screenY;
            if (pointerType !== 'touch' && hasMoved) {
                last = [screenX, screenY];
                rest();
            }
        },
        { signal },
    );
    rest();
    return () => {
        stopped.abort();
        environment.clearTimer(timer);
        element.classList.toggle('is-idle', false);
    };
}
