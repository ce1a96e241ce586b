/**
 * One canvas's stream, `psyche.v1`: hello and ready, frames and their acknowledgements, the `time`
 * exchange. It does not know what a picture is shown on.
 *
 * An acknowledgement belongs to the session (the life between two hellos) that its frame came in:
 * sequences begin anew with each, and the server refuses a number that it has not sent.
 */

import { TimeExchange } from './exchange.js';
import { NO_SUCH_CANVAS, POLICY, ReconnectingSocket } from './socket.js';
import { SUB_PROTOCOL, WireError, decodeMessage, encodeMessage } from './wire.js';

/**
 * @typedef {object} Timings What became of a frame; instants are on this browser's clock.
 * @property {number} received_ms
 * @property {number} [decoded_ms]
 * @property {number} [presented_ms] Absent where it was not presented.
 * @property {number} skipped Frames lost in the browser since the last acknowledgement.
 */

/** @typedef {(timings: Timings) => void} Acknowledge */

/**
 * @typedef {object} Viewer
 * @property {import('./wire.js').Size} viewport The picture's place, in device pixels.
 * @property {string[]} formats
 * @property {boolean} visible
 * @property {number} [max_fps] At most so many frames a second; 0: none, the screen is paused.
 */

/**
 * @typedef {object} StreamHandlers
 * @property {(hello: import('./wire.js').Hello) => void} onHello
 * @property {(frame: import('./wire.js').Frame, acknowledge: Acknowledge) => void} onFrame
 * @property {(status: import('./wire.js').Status) => void} onStatus
 * @property {(clock: import('./clock.js').Sample) => void} [onClock] The server's clock is known better.
 * @property {(code?: number) => void} onDown The connection is lost; another attempt follows unless `onEnd` is called.
 *     With the close code, where the server has closed it or it broke.
 * @property {(code: number) => void} onEnd The server wants no other attempt; why, as a close code.
 */

/**
 * @typedef {object} Session
 * @property {number} received How many frames came in it.
 * @property {number} acknowledged The latest acknowledged one of them, by its number in the order of receipt.
 * @property {number} presented The latest of them that was told to be presented.
 */

// A window that is dragged changes its size with every frame; the server needs the last one only.
const RESIZE_DEBOUNCE_MS = 200;

export class Connection {
    #handlers;
    #viewer;
    #environment;
    #socket;
    #time;
    /** @type {Session | null} */
    #session = null;
    /** @type {import('./clock.js').Sample | null} The one that was told last. */
    #clock = null;
    /** @type {any} */
    #resizeTimer = null;

    /**
     * @param {string} url
     * @param {Viewer} viewer
     * @param {StreamHandlers} handlers
     * @param {import('./environment.js').Environment} environment
     * @param {import('./gate.js').Entrance} [gate] The page's.
     */
    constructor(url, viewer, handlers, environment, gate) {
        this.#viewer = viewer;
        this.#handlers = handlers;
        this.#environment = environment;
        this.#time = new TimeExchange(environment, (question) => this.#send(question));
        this.#socket = new ReconnectingSocket(
            url,
            [SUB_PROTOCOL],
            {
                // The server speaks first.
                onOpen: () => {},
                onMessage: (data) => this.#take(data),
                onTick: () => this.#time.tick(),
                onDown: (code) => this.#down(code),
                onEnd: (code) => handlers.onEnd(code),
            },
            environment,
            gate,
        );
    }

    open() {
        this.#socket.open();
    }

    close() {
        this.#environment.clearTimer(this.#resizeTimer);
        this.#time.stop();
        this.#session = null;
        this.#socket.close();
    }

    /** The exchange that tells most about the server's clock; null before the first one of this connection. */
    get clock() {
        return this.#time.best;
    }

    /** What to add to this browser's clock to get the server's, in milliseconds; null where it is not known yet. */
    get offsetMs() {
        return this.#time.offsetMs;
    }

    /**
     * Tell the server of another size, once it has stopped changing.
     *
     * @param {import('./wire.js').Size} viewport Device pixels.
     */
    resize(viewport) {
        const { width, height } = this.#viewer.viewport;
        if (viewport.width === width && viewport.height === height) {
            return;
        }
        this.#viewer = { ...this.#viewer, viewport };
        this.#environment.clearTimer(this.#resizeTimer);
        this.#resizeTimer = this.#environment.setTimer(() => this.#sendReady(), RESIZE_DEBOUNCE_MS);
    }

    /**
     * Tell the server whether anybody can see the picture.
     *
     * @param {boolean} visible
     */
    setVisible(visible) {
        if (visible !== this.#viewer.visible) {
            this.#viewer = { ...this.#viewer, visible };
            this.#sendReady();
            if (visible && this.#session !== null) {
                this.#time.hurry();
            }
        }
    }

    /** @param {unknown} data */
    #take(data) {
        try {
            const message = decodeMessage(data);
            if (message !== null) {
                this.#dispatch(message);
            }
        } catch (error) {
            if (!(error instanceof WireError)) {
                throw error;
            }
            this.#socket.retry(error.message);
        }
    }

    /** @param {import('./wire.js').ServerMessage} message */
    #dispatch(message) {
        switch (message.type) {
            case 'hello':
                this.#begin(message);
                break;
            case 'frame':
                this.#takeFrame(message);
                break;
            case 'status':
                this.#handlers.onStatus(message);
                break;
            case 'time':
                this.#takeTime(message);
                break;
            case 'bye':
                if (!message.reconnect) {
                    this.#socket.end(message.reason === 'deleted' ? NO_SUCH_CANVAS : POLICY);
                }
                break;
        }
    }

    /** @param {import('./wire.js').Time} answer */
    #takeTime(answer) {
        this.#time.take(answer);
        const { best } = this.#time;
        if (best !== null && best !== this.#clock) {
            this.#clock = best;
            this.#handlers.onClock?.(best);
        }
    }

    /** @param {import('./wire.js').Hello} hello */
    #begin(hello) {
        this.#session = { received: 0, acknowledged: 0, presented: 0 };
        // Before `ready`, which tells the size that a screen may only know from here.
        this.#handlers.onHello(hello);
        this.#sendReady();
        this.#time.begin();
    }

    /** @param {import('./wire.js').Frame} frame */
    #takeFrame(frame) {
        const session = this.#session;
        if (session === null) {
            throw new WireError('a frame came before hello');
        }
        this.#socket.proven();
        session.received += 1;
        const { received } = session;
        this.#handlers.onFrame(frame, (timings) => this.#acknowledge(session, received, frame.sequence, timings));
    }

    /**
     * @param {Session} session
     * @param {number} received The frame's number in the order of receipt.
     * @param {number} sequence
     * @param {Timings} timings
     */
    #acknowledge(session, received, sequence, timings) {
        // Cumulative: an earlier one says nothing new, unless it was presented since. The same sequence in a
        // better tier is a later one.
        const isPresented = timings.presented_ms !== undefined && received > session.presented;
        if (session !== this.#session || (received <= session.acknowledged && !isPresented)) {
            return;
        }
        session.acknowledged = Math.max(received, session.acknowledged);
        if (isPresented) {
            session.presented = received;
        }
        this.#send({ type: 'ack', sequence, ...timings, ...this.#time.best });
    }

    #sendReady() {
        this.#environment.clearTimer(this.#resizeTimer);
        if (this.#session !== null) {
            this.#send({ type: 'ready', ...this.#viewer });
        }
    }

    /**
     * Send a message of the page's own; while the connection is down it is for nobody and is dropped.
     *
     * @param {{ type: string } & Record<string, unknown>} message
     */
    send(message) {
        if (this.#session !== null) {
            this.#send(message);
        }
    }

    /** @param {{ type: string } & Record<string, unknown>} message */
    #send(message) {
        this.#socket.send(encodeMessage(message));
    }

    /** @param {number} [code] */
    #down(code) {
        this.#time.stop();
        this.#session = null;
        this.#handlers.onDown(code);
    }
}
