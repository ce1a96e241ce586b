/**
 * An element's size in the screen's own pixels, told at once and whenever it changes: with the window,
 * with the browser's zoom, and when the window moves to a screen of another density.
 */

/**
 * @typedef {object} SizeEnvironment
 * @property {() => number} pixelRatio Device pixels per CSS pixel.
 * @property {(query: string) => Pick<MediaQueryList, 'addEventListener'>} matchMedia
 * @property {(element: Element, onResize: () => void) => () => void} observe Gives what stops it.
 */

/** @type {SizeEnvironment} */
const browser = {
    pixelRatio: () => devicePixelRatio,
    matchMedia: (query) => matchMedia(query),
    observe: (element, onResize) => {
        const observer = new ResizeObserver(onResize);
        observer.observe(element);
        return () => observer.disconnect();
    },
};

/**
 * @param {HTMLElement} element
 * @param {(size: import('../stream/wire.js').Size, pixelRatio: number) => void} onSize In device pixels.
 * @param {SizeEnvironment} [environment]
 * @returns {() => void} Stops it.
 */
export function watchSize(element, onSize, environment = browser) {
    const stopped = new AbortController();
    const tell = () => {
        const ratio = environment.pixelRatio();
        const { clientWidth, clientHeight } = element;
        onSize({ width: Math.round(clientWidth * ratio), height: Math.round(clientHeight * ratio) }, ratio);
    };
    const watchDensity = () => {
        const density = environment.matchMedia(`(resolution: ${environment.pixelRatio()}dppx)`);
        const changed = () => {
            watchDensity();
            tell();
        };
        density.addEventListener('change', changed, { once: true, signal: stopped.signal });
    };
    watchDensity();
    const unobserve = environment.observe(element, tell);
    tell();
    return () => {
        stopped.abort();
        unobserve();
    };
}
