/**
 * What a page knows of a screen: one canvas from its socket to its pixels, wherever that is done.
 *
 * Everything that crosses this border can be posted between threads: no elements, no functions, no
 * bitmaps.
 */

/**
 * @typedef {object} ScreenSettings
 * @property {string} slug
 * @property {string} url Of its WebSocket.
 * @property {boolean} isVisible At the start.
 * @property {number} [maxFps] At most so many frames a second; 0: none.
 */

/** @typedef {ScreenSettings & import('../paint/surface.js').SurfaceOptions} ScreenOptions */

/** @typedef {Omit<import('../stream/wire.js').Frame, 'image'> & { bytes: number }} FrameReport */

/**
 * @typedef {object} ScreenEvents
 * @property {(hello: import('../stream/wire.js').Hello) => void} onHello
 * @property {(status: import('../stream/wire.js').Status) => void} onStatus
 * @property {(code?: number) => void} onDown The connection is lost; another attempt follows unless `onEnd` is called.
 *     With the close code, where the server has closed it or it broke.
 * @property {(code: number) => void} onEnd The server wants no other attempt; why, as a close code.
 * @property {(box: import('../paint/geometry.js').Rectangle, picture: import('../stream/wire.js').Size) => void} onBox
 *     Where the picture lies on the canvas, in device pixels, and its size, of which only the shape counts; called
 *     when either changes, and after each `hang` once there is a picture.
 * @property {(report: FrameReport) => void} onDrawn
 * @property {(report: FrameReport & { presented_ms: number | null }) => void} onPresented On the server's clock;
 *     null while that is not known.
 * @property {(count: number) => void} onCorrupt How many frames could not be decoded since the page was loaded.
 * @property {(clock: import('../stream/clock.js').Sample) => void} onClock The server's clock is known better: add
 *     `offset_ms` to this browser's to get it.
 * @property {(figures: import('./figures.js').Figures) => void} onFigures Every second while they are watched.
 */

/**
 * @typedef {object} Screen
 * @property {() => void} open Connect; again after `onEnd`, where the canvas is there once more.
 * @property {(hanging: import('../paint/surface.js').Hanging) => void} hang
 * @property {(isVisible: boolean) => void} setVisible
 * @property {(message: { type: string } & Record<string, unknown>) => void} send A message to the server; dropped
 *     while the connection is down.
 * @property {(isWatched: boolean) => void} watchFigures
 * @property {() => void} close Leave for good.
 */

/**
 * @typedef {object} ScreenServices What all screens of a thread share.
 * @property {import('../stream/environment.js').Environment} environment
 * @property {import('../paint/decoder.js').Decoder} decoder
 * @property {string[]} formats
 * @property {import('../stream/gate.js').Entrance} gate Of the page.
 */

export {};
