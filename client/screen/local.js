/** A screen whose socket, decoding and drawing are in this thread: a page's, or a worker's. */

import { Painter } from '../paint/painter.js';
import { Surface } from '../paint/surface.js';
import { Connection } from '../stream/connection.js';

/** @typedef {import('./screen.js').Screen} Screen */

/** @implements {Screen} */
export class LocalScreen {
    #surface;
    #painter;
    #connection;
    #events;
    /** @type {import('../stream/wire.js').Size | null} */
    #picture = null;

    /**
     * @param {HTMLCanvasElement | OffscreenCanvas} canvas
     * @param {import('./screen.js').ScreenOptions} options
     * @param {Partial<import('./screen.js').ScreenEvents>} events
     * @param {import('./screen.js').ScreenServices} services
     */
    constructor(canvas, options, events, services) {
        const { decoder, environment, formats } = services;
        this.#events = events;
        this.#surface = new Surface(canvas, options);
        let corrupt = 0;
        this.#painter = new Painter(decoder, environment, {
            draw: (bitmap) => this.#draw(bitmap),
            onDrawn: (frame) => events.onDrawn?.(reportOf(frame)),
            onPresented: (frame, presentedMs) => this.#tellPresented(frame, presentedMs),
            offsetMs: () => this.#connection.offsetMs,
            onCorrupt: () => {
                corrupt += 1;
                events.onCorrupt?.(corrupt);
            },
        });
        this.#painter.setVisible(options.isVisible);
        this.#connection = new Connection(
            options.url,
            {
                viewport: { width: 1, height: 1 },
                formats,
                visible: options.isVisible,
                max_fps: options.maxFps,
            },
            {
                onHello: (hello) => {
                    this.#painter.restart();
                    events.onHello?.(hello);
                },
                onFrame: (frame, acknowledge) => this.#painter.offer(frame, acknowledge),
                onStatus: (status) => events.onStatus?.(status),
                onDown: () => events.onDown?.(),
                onEnd: (code) => events.onEnd?.(code),
            },
            environment,
        );
    }

    open() {
        this.#connection.open();
    }

    /** @param {import('../paint/surface.js').Hanging} hanging */
    hang(hanging) {
        this.#surface.hang(hanging);
        this.#tellBox();
        this.#painter.repaint();
    }

    /** @param {boolean} isVisible */
    setVisible(isVisible) {
        this.#painter.setVisible(isVisible);
        this.#connection.setVisible(isVisible);
    }

    /** @param {{ type: string } & Record<string, unknown>} message */
    send(message) {
        this.#connection.send(message);
    }

    /** @param {boolean} isWatched */
    watchFigures(isWatched) {
        void isWatched;
    }

    close() {
        this.#connection.close();
        this.#painter.close();
    }

    /** @param {ImageBitmap} bitmap */
    #draw(bitmap) {
        // The bitmap's own: a photograph that was taken upright lies on its side in the file.
        const { width, height } = bitmap;
        if (this.#picture?.width !== width || this.#picture.height !== height) {
            this.#picture = { width, height };
            this.#tellBox();
        }
        this.#surface.draw(bitmap);
    }

    #tellBox() {
        const picture = this.#picture;
        if (picture !== null) {
            const box = this.#surface.boxOf(picture);
            this.#connection.resize({ width: box.width, height: box.height });
            this.#events.onBox?.(box, picture);
        }
    }

    /**
     * @param {import('../stream/wire.js').Frame} frame
     * @param {number} presentedMs On this browser's clock.
     */
    #tellPresented(frame, presentedMs) {
        const offsetMs = this.#connection.offsetMs;
        const presented_ms = offsetMs === null ? null : presentedMs + offsetMs;
        this.#events.onPresented?.({ ...reportOf(frame), presented_ms });
    }
}

/**
 * @param {import('../stream/wire.js').Frame} frame
 * @returns {import('./screen.js').FrameReport}
 */
function reportOf({ image, ...frame }) {
    return { ...frame, bytes: image.byteLength };
}
