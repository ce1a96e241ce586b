/**
 * What a page and its worker say to each other. Both are loaded from one server at one time: there are
 * no versions.
 */

/** @typedef {'open' | 'hang' | 'setVisible' | 'send' | 'watchFigures' | 'close'} Call A method of `Screen`. */

/**
 * @typedef {{ kind: 'probe' }
 *     | { kind: 'create', id: number, canvas: OffscreenCanvas, options: import('./screen.js').ScreenOptions,
 *         wanted: string[] }
 *     | { kind: 'call', id: number, name: Call, value?: any }
 *     | { kind: 'go', pass: number }
 *     | { kind: 'ping' }} ToWorker Passes are those of the page's gate.
 */

/** @typedef {{ id: number, name: string, values: any[] }} News An event of a screen. */

/** @typedef {'ask' | 'lost' | 'proven' | 'leave'} Plea A method of the gate's `Pass`. */

/**
 * @typedef {{ kind: 'able', formats: string[] }
 *     | { kind: 'unable', reason: string }
 *     | { kind: 'news', news: News[], bitmaps: import('../paint/decoder.js').BitmapCounts | null }
 *     | { kind: 'plea', pass: number, name: Plea }
 *     | { kind: 'pong' }} ToPage
 */

/**
 * @typedef {object} Port One end of the line: a `Worker`, or the worker's own scope.
 * @property {(message: any, transfer?: any[]) => void} postMessage
 * @property {(type: 'message', listener: (event: MessageEvent) => void) => void} addEventListener
 */

export {};
