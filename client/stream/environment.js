/**
 * What the browser gives to the modules of this folder, in one record, so that they run under
 * `node --test` with doubles and no DOM. It is the same in a page and in a worker.
 */

/**
 * @typedef {object} Environment
 * @property {(url: string, protocols: string[]) => WebSocket} openSocket
 * @property {(callback: () => void, delayMs: number) => any} setTimer Gives a handle for `clearTimer`.
 * @property {(handle: any) => void} clearTimer
 * @property {() => number} random From 0 to 1, without 1.
 * @property {() => number} nowMs Unix milliseconds that never jump while the page lives.
 * @property {(callback: () => void) => void} requestFrame Calls once before the next paint, however late that is.
 * @property {(callback: () => void) => void} afterFrame Called in a frame: calls once that frame is on its way.
 * @property {(image: Blob) => Promise<ImageBitmap>} createImageBitmap
 */

// The slowest screen refreshes every 42 ms. A browser that draws no frames for this long takes the page for hidden,
// rightly or not: OBS shows some that it says are hidden. What is drawn then is drawn for whoever looks.
const FRAME_PATIENCE_MS = 500;

// The pace of a screen, for workers of browsers that give animation frames to pages only.
const FRAME_MS = 16;

/**
 * The browser's own. Each is wrapped: called as a method of another object, they refuse.
 *
 * @type {Environment}
 */
export const browser = {
    openSocket: (url, protocols) => new WebSocket(url, protocols),
    setTimer: (callback, delayMs) => setTimeout(callback, delayMs),
    clearTimer: (handle) => clearTimeout(handle),
    random: () => Math.random(),
    nowMs: () => performance.timeOrigin + performance.now(),
    requestFrame: (callback) => {
        if (typeof requestAnimationFrame === 'undefined') {
            setTimeout(callback, FRAME_MS);
            return;
        }
        const go = () => {
            cancelAnimationFrame(frame);
            clearTimeout(timer);
            callback();
        };
        const frame = requestAnimationFrame(go);
        const timer = setTimeout(go, FRAME_PATIENCE_MS);
    },
    // A frame's style, layout and raster are one task with its callbacks: the next task comes after.
    afterFrame: (callback) => {
        setTimeout(callback, 0);
    },
    createImageBitmap: (image) => createImageBitmap(image),
};

/**
 * Have the browser report an error as what it is, without ending what is being done.
 *
 * @param {Pick<Environment, 'setTimer'>} environment
 * @param {unknown} error
 */
export function reportLater(environment, error) {
    environment.setTimer(() => {
        throw error;
    }, 0);
}
