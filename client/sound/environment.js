/** What the browser gives to the modules of this folder, so that they run under `node --test` with doubles. */

/**
 * @typedef {object} SoundEnvironment
 * @property {() => number} nowMs Never jumps.
 * @property {(callback: () => void, delayMs: number) => any} setTimer Gives a handle for `clearTimer`.
 * @property {(handle: any) => void} clearTimer
 * @property {(callback: () => void, periodMs: number) => () => void} tick Calls again and again until the function
 *     that it gives is called.
 * @property {() => AudioContext} openContext Throws where the browser knows no WebAudio.
 * @property {MediaDevices | null} devices Null where the page may not ask for them.
 * @property {boolean} isSecure Whether browsers give a page of this address a microphone.
 * @property {EventTarget} gestures Where clicks and keys arrive.
 */

/**
 * Tick in a worker's time: browsers slow down the timers of a hidden page, and a person who looks at another
 * tab for a moment still wants the pictures to move.
 *
 * @param {() => void} callback
 * @param {number} periodMs
 */
function tick(callback, periodMs) {
    if (typeof Worker === 'function') {
        const worker = new Worker(new URL('./ticker.js', import.meta.url));
        worker.addEventListener('message', callback);
        worker.postMessage(periodMs);
        return () => worker.terminate();
    }
    const timer = setInterval(callback, periodMs);
    return () => clearInterval(timer);
}

/**
 * The browser's own, found out when it is first needed: the module can be loaded anywhere.
 *
 * @returns {SoundEnvironment}
 */
export function browserSound() {
    return {
        nowMs: () => performance.now(),
        setTimer: (callback, delayMs) => setTimeout(callback, delayMs),
        clearTimer: (handle) => clearTimeout(handle),
        tick,
        openContext: () => new AudioContext({ latencyHint: 'interactive' }),
        devices: navigator.mediaDevices ?? null,
        isSecure: isSecureContext,
        gestures: document,
    };
}
