/** A screen whose socket, decoding and drawing are in this thread: a page's, or a worker's. */

import { Painter } from '../paint/painter.js';
import { Projector } from '../paint/projector.js';
import { Connection } from '../stream/connection.js';
import { FiguresKeeper } from './figures.js';

/** @typedef {import('./screen.js').Screen} Screen */
/** @typedef {import('../stream/wire.js').Frame} Frame */
/** @typedef {import('../stream/wire.js').Hello} Hello */
/** @typedef {import('../stream/wire.js').Size} Size */
/** @typedef {import('../stream/connection.js').Acknowledge} Acknowledge */
/** @typedef {import('../paint/surface.js').Hanging} Hanging */

// A number that changes more often than this cannot be read.
const FIGURES_MS = 1000;

/** @implements {Screen} */
export class LocalScreen {
    #projector;
    #painter;
    #connection;
    #environment;
    #events;
    #figures = new FiguresKeeper();
    /** @type {Hanging | null} */
    #hanging = null;
    /** @type {Size | null} Of the last picture. */
    #picture = null;
    /** @type {Size | null} Of the canvas, which most pictures have: until the first one it is all that is known. */
    #shape = null;
    #corrupt = 0;
    /** @type {any} */
    #figuresTimer = null;
    #listening = new AbortController();

    /**
     * @param {HTMLCanvasElement | OffscreenCanvas} canvas
     * @param {import('./screen.js').ScreenOptions} options
     * @param {Partial<import('./screen.js').ScreenEvents>} events
     * @param {import('./screen.js').ScreenServices} services
     */
    constructor(canvas, options, events, services) {
        this.#environment = services.environment;
        this.#events = events;
        this.#projector = new Projector(canvas, options, services.environment);
        this.#projector.setVisible(options.isVisible);
        this.#figures.setVisible(options.isVisible);
        this.#painter = this.#makePainter(services);
        this.#painter.setVisible(options.isVisible);
        this.#connection = this.#makeConnection(options, services);
        // A graphics driver that begins anew takes the picture along, and at rest no other one follows.
        canvas.addEventListener('contextrestored', () => this.#restore(), { signal: this.#listening.signal });
    }

    open() {
        this.#connection.open();
    }

    /** @param {Hanging} hanging */
    hang(hanging) {
        if (isSameHanging(this.#hanging, hanging)) {
            return;
        }
        this.#hanging = hanging;
        this.#projector.hang(hanging);
        this.#tellBox();
        this.#painter.repaint();
    }

    /** @param {boolean} isVisible */
    setVisible(isVisible) {
        // Before the painter, which lets go of what nobody sees any more.
        this.#figures.setVisible(isVisible);
        this.#projector.setVisible(isVisible);
        this.#painter.setVisible(isVisible);
        this.#connection.setVisible(isVisible);
    }

    /** @param {{ type: string } & Record<string, unknown>} message */
    send(message) {
        this.#connection.send(message);
    }

    /** @param {boolean} isWatched */
    watchFigures(isWatched) {
        this.#environment.clearTimer(this.#figuresTimer);
        if (isWatched) {
            // Never before this returns: whoever asks may not be ready for an answer, and from a worker there is none.
            this.#figuresTimer = this.#environment.setTimer(() => this.#tellFigures(), 0);
        }
    }

    close() {
        // What is on its way is news for nobody.
        this.#events = {};
        this.#listening.abort();
        this.#environment.clearTimer(this.#figuresTimer);
        this.#connection.close();
        this.#painter.close();
        this.#projector.close();
    }

    /** @param {import('./screen.js').ScreenServices} services */
    #makePainter({ decoder, environment }) {
        return new Painter(decoder, environment, {
            draw: (picture, frame) => this.#draw(picture, frame),
            onDrawn: (frame) => this.#events.onDrawn?.(reportOf(frame)),
            onPresented: (frame, presentedMs) => this.#tellPresented(frame, presentedMs),
            offsetMs: () => this.#connection.offsetMs,
            onCorrupt: () => {
                this.#corrupt += 1;
                this.#figures.corrupt();
                this.#events.onCorrupt?.(this.#corrupt);
            },
        });
    }

    /**
     * @param {import('./screen.js').ScreenOptions} options
     * @param {import('./screen.js').ScreenServices} services
     */
    #makeConnection({ url, isVisible, maxFps }, { environment, formats, gate }) {
        return new Connection(
            url,
            { viewport: { width: 1, height: 1 }, formats, visible: isVisible, max_fps: maxFps },
            {
                onHello: (hello) => this.#greet(hello),
                onFrame: (frame, acknowledge) => this.#take(frame, acknowledge),
                onStatus: (status) => {
                    this.#projector.follow(status);
                    this.#events.onStatus?.(status);
                },
                onClock: (clock) => this.#events.onClock?.(clock),
                onDown: (code) => this.#events.onDown?.(code),
                onEnd: (code) => this.#events.onEnd?.(code),
            },
            environment,
            gate,
        );
    }

    /** @param {Hello} hello */
    #greet(hello) {
        this.#painter.restart();
        this.#figures.greet(hello);
        this.#projector.greet(hello);
        this.#shape = sizeOf(hello.canvas);
        if (this.#picture === null) {
            // The first picture comes at the right size already.
            this.#tellBox();
        }
        this.#events.onHello?.(hello);
    }

    /**
     * @param {Frame} frame
     * @param {Acknowledge} acknowledge
     */
    #take(frame, acknowledge) {
        this.#figures.received(frame, this.#environment.nowMs());
        this.#painter.offer(frame, (timings) => {
            this.#figures.acknowledged(frame, timings, this.#connection.offsetMs);
            acknowledge(timings);
        });
    }

    /**
     * @param {import('../paint/decoders.js').Picture} picture
     * @param {Frame} frame
     */
    #draw(picture, frame) {
        // The picture's own: a photograph that was taken upright lies on its side in the file.
        const { width, height } = picture;
        if (this.#picture?.width !== width || this.#picture.height !== height) {
            this.#picture = { width, height };
            this.#tellBox();
        }
        this.#projector.draw(picture, frame);
    }

    #tellBox() {
        const shape = this.#picture ?? this.#shape;
        if (shape === null) {
            return;
        }
        const box = this.#projector.boxOf(shape);
        this.#connection.resize(sizeOf(box));
        if (this.#picture !== null) {
            this.#events.onBox?.(box, this.#picture);
        }
    }

    #tellFigures() {
        this.#events.onFigures?.(this.#figures.read(this.#environment.nowMs(), this.#connection.clock));
        this.#figuresTimer = this.#environment.setTimer(() => this.#tellFigures(), FIGURES_MS);
    }

    /** What was drawn is gone. */
    #restore() {
        this.#projector.forget();
        this.#painter.repaint();
    }

    /**
     * @param {Frame} frame
     * @param {number} presentedMs On this browser's clock.
     */
    #tellPresented(frame, presentedMs) {
        const offsetMs = this.#connection.offsetMs;
        const presented_ms = offsetMs === null ? null : presentedMs + offsetMs;
        this.#events.onPresented?.({ ...reportOf(frame), presented_ms });
    }
}

/**
 * @param {Frame} frame
 * @returns {import('./screen.js').FrameReport}
 */
function reportOf({ image, ...frame }) {
    return { ...frame, bytes: image.byteLength };
}

/** @param {Size} size */
function sizeOf({ width, height }) {
    return { width, height };
}

/**
 * @param {Hanging | null} one
 * @param {Hanging} other
 */
function isSameHanging(one, other) {
    return (
        one !== null &&
        one.place.width === other.place.width &&
        one.place.height === other.place.height &&
        one.view.x === other.view.x &&
        one.view.y === other.view.y &&
        one.view.width === other.view.width &&
        one.view.height === other.view.height
    );
}
