/**
 * From received frames to the screen: the newest wins, and is never lost.
 *
 * A frame waits until shortly before it is to be shown, is decoded outside of the socket's handler,
 * and is drawn in the animation frame nearest to its instant: the next one, where it has none.
 * Whatever a newer one overtakes on that way is closed and counted as skipped. It does not know what
 * it draws on, nor who wants the acknowledgement. Order is that of arrival: sequences begin anew
 * with a new epoch, and come again in a better tier.
 */

import { Alarm } from './alarm.js';
import { Schedule, dueMsOf } from './schedule.js';

/** @typedef {import('../stream/wire.js').Frame} Frame */

/**
 * @typedef {object} PainterHandlers
 * @property {(bitmap: import('./decoders.js').Picture, frame: Frame) => void} draw What is drawn on may go on by
 *     itself, to turn one picture into the next: a frame counts as presented when some of it is to be seen.
 * @property {(frame: Frame) => void} onDrawn A frame was drawn for the first time; called in the same animation frame.
 * @property {(frame: Frame, presented_ms: number) => void} onPresented It is on its way to the screen; the
 *     instant is on this browser's clock.
 * @property {(frame: Frame) => void} onCorrupt A frame could not be decoded.
 * @property {() => number | null} offsetMs What to add to this browser's clock to get the server's; null: not known.
 */

/**
 * @typedef {object} Item A frame on its way.
 * @property {Frame} frame
 * @property {number} order Of arrival.
 * @property {number} dueMs When it is to be shown, on this browser's clock; -Infinity: at once.
 * @property {import('../stream/connection.js').Acknowledge | null} acknowledge Null once it was called.
 * @property {boolean} again Whether the frame was on the screen before and is drawn anew.
 * @property {number} received_ms
 * @property {number} [decoded_ms]
 */

/** @typedef {{ item: Item, bitmap: import('./decoders.js').Picture }} Decoded */

// A second frame is decoded while the first one is: frames may come faster than one decodes.
const MAX_DECODES = 2;

// Being decoded or decoded ahead of their instants: 33 MB each at 4K.
const MAX_BITMAPS = 4;

// How long before its instant a frame is decoded, beside what decoding takes; for a busy machine.
const LEAD_MS = 80;
const MAX_LEAD_MS = 500;

// What waits longer than this is not on its way any more: the link is free for the frames that follow.
const LONG_MS = 250;

const ignore = () => {};

export class Painter {
    #decoder;
    #environment;
    /** @type {PainterHandlers} */
    #handlers;
    #alarm;
    /** @type {Schedule<Item>} What is not being decoded yet. */
    #held = new Schedule();
    /** @type {Set<Item>} */
    #decoding = new Set();
    /** @type {Schedule<Decoded>} What waits for its animation frame. */
    #decoded = new Schedule(MAX_BITMAPS);
    /** @type {any} */
    #decodeTimer = null;
    #decodeTookMs = 0;
    /** @type {Frame | null} What the screen shows, still encoded: a bitmap is up to 33 MB, this is not. */
    #shown = null;
    #shownOrder = 0;
    #isVisible = true;
    #isClosed = false;
    #isStale = false;
    #received = 0;
    #skipped = 0;

    /**
     * @param {import('./decoder.js').Decoder} decoder
     * @param {import('../stream/environment.js').Environment} environment
     * @param {Partial<PainterHandlers> & Pick<PainterHandlers, 'draw'>} handlers
     */
    constructor(decoder, environment, handlers) {
        this.#decoder = decoder;
        this.#environment = environment;
        this.#handlers = { onDrawn: ignore, onPresented: ignore, onCorrupt: ignore, offsetMs: () => null, ...handlers };
        this.#alarm = new Alarm(environment, (untilMs) => this.#paint(untilMs));
    }

    /**
     * Take a frame.
     *
     * @param {Frame} frame
     * @param {import('../stream/connection.js').Acknowledge} acknowledge Called when the frame was presented, could
     *     not be decoded, or has come while nobody can see the page; and before that, when it has come
     *     long before its instant.
     */
    offer(frame, acknowledge) {
        const item = this.#enter(frame, acknowledge, false);
        if (!this.#isVisible) {
            this.#acknowledge(item);
        } else if (item.dueMs - item.received_ms > LONG_MS) {
            this.#release(item);
        }
        this.#decodeNext();
    }

    /** Draw the last picture anew: its place has another size. */
    repaint() {
        // Whatever is on its way will be drawn at the new size anyway, unless it turns out to be corrupt or overtaken.
        this.#isStale = this.#held.count + this.#decoding.size + this.#decoded.count > 0;
        if (this.#shown !== null && !this.#isStale) {
            this.#enter(this.#shown, null, true);
            this.#decodeNext();
        }
    }

    /**
     * While hidden there are no animation frames: frames are acknowledged as they come, and the
     * newest one waits for the page to return.
     *
     * @param {boolean} isVisible
     */
    setVisible(isVisible) {
        if (isVisible === this.#isVisible) {
            return;
        }
        this.#isVisible = isVisible;
        if (isVisible) {
            this.#alarm.set(this.#decoded.firstDueMs);
            this.#decodeNext();
        } else {
            this.#retire();
        }
    }

    /** Count anew: skipped frames are told to the server that has sent them. */
    restart() {
        this.#skipped = 0;
    }

    close() {
        this.#isClosed = true;
        this.#environment.clearTimer(this.#decodeTimer);
        this.#alarm.set(null);
        this.#shown = null;
        this.#held.clear();
        this.#decoded.clear().forEach((decoded) => this.#discard(decoded));
    }

    /**
     * @param {Frame} frame
     * @param {Item['acknowledge']} acknowledge
     * @param {boolean} again
     * @returns {Item}
     */
    #enter(frame, acknowledge, again) {
        this.#received += 1;
        const item = {
            frame,
            order: this.#received,
            // Whoever returns to the page sees what there is before anything waits for its instant.
            dueMs: again || !this.#isVisible ? -Infinity : this.#dueMs(frame),
            acknowledge,
            again,
            received_ms: this.#environment.nowMs(),
        };
        this.#hold(item);
        return item;
    }

    /** @param {Item} item */
    #hold(item) {
        const entry = { thing: item, order: item.order, dueMs: item.dueMs, bytes: item.frame.image.byteLength };
        this.#held.add(entry).forEach((lost) => this.#skip(lost));
    }

    /** @param {Frame} frame */
    #dueMs(frame) {
        return dueMsOf(frame.present_at_ms, this.#handlers.offsetMs(), this.#environment.nowMs());
    }

    #decodeNext() {
        this.#environment.clearTimer(this.#decodeTimer);
        const leadMs = Math.min(MAX_LEAD_MS, LEAD_MS + 2 * this.#decodeTookMs);
        while (this.#isVisible && !this.#isClosed && this.#decoding.size < MAX_DECODES) {
            const nowMs = this.#environment.nowMs();
            const hasRoom = this.#decoding.size + this.#decoded.count < MAX_BITMAPS;
            const { thing, overtaken } = this.#held.take(nowMs, hasRoom ? nowMs + leadMs : nowMs);
            overtaken.forEach((item) => this.#skip(item));
            if (thing === null) {
                const dueMs = this.#held.firstDueMs;
                if (dueMs !== null && hasRoom) {
                    this.#decodeTimer = this.#environment.setTimer(() => this.#decodeNext(), dueMs - leadMs - nowMs);
                }
                return;
            }
            void this.#decode(thing);
        }
    }

    /** @param {Item} item */
    async #decode(item) {
        this.#decoding.add(item);
        const startedMs = this.#environment.nowMs();
        const bitmap = await this.#decoder.decode(item.frame.image, item.frame.format).catch(() => null);
        this.#decoding.delete(item);
        if (bitmap === null) {
            // One broken image is no reason to stop; the server still waits for its release.
            this.#acknowledge(item);
            this.#handlers.onCorrupt(item.frame);
        } else {
            item.decoded_ms = this.#environment.nowMs();
            // Up at once and down slowly: what took long once will again.
            this.#decodeTookMs = Math.max(item.decoded_ms - startedMs, 0.9 * this.#decodeTookMs);
            this.#offerBitmap({ item, bitmap });
        }
        if (this.#isStale) {
            this.repaint();
        }
        this.#decodeNext();
    }

    /** @param {Decoded} decoded */
    #offerBitmap(decoded) {
        const { item } = decoded;
        if (this.#isClosed || item.order < this.#shownOrder) {
            this.#discard(decoded);
            return;
        }
        if (item.dueMs > -Infinity) {
            // The clock is known better than when the frame came.
            item.dueMs = this.#dueMs(item.frame);
        }
        this.#await(decoded);
        if (this.#isVisible) {
            this.#alarm.set(this.#decoded.firstDueMs);
        }
    }

    /** @param {Decoded} decoded */
    #await(decoded) {
        const { order, dueMs } = decoded.item;
        this.#decoded.add({ thing: decoded, order, dueMs, bytes: 0 }).forEach((lost) => this.#discard(lost));
    }

    /** @param {number} untilMs */
    #paint(untilMs) {
        const { thing, overtaken } = this.#decoded.take(untilMs);
        overtaken.forEach((decoded) => this.#discard(decoded));
        try {
            if (thing !== null) {
                this.#present(thing);
            }
        } finally {
            // Whatever became of this one, there are others.
            this.#alarm.set(this.#decoded.firstDueMs);
            this.#decodeNext();
        }
    }

    /** @param {Decoded} decoded */
    #present({ item, bitmap }) {
        const { frame } = item;
        this.#shownOrder = item.order;
        this.#isStale = false;
        try {
            this.#handlers.draw(bitmap, frame);
        } catch (error) {
            // The server waits for its release all the same.
            this.#acknowledge(item);
            throw error;
        } finally {
            this.#decoder.close(bitmap);
        }
        this.#shown = frame;
        if (!item.again) {
            this.#handlers.onDrawn(frame);
            // Raster is part of showing a picture: told when the frame is on its way to the screen.
            this.#environment.afterFrame(() => {
                const presentedMs = this.#environment.nowMs();
                this.#acknowledge(item, presentedMs);
                this.#handlers.onPresented(frame, presentedMs);
            });
        }
    }

    /** @param {Decoded} decoded */
    #discard({ item, bitmap }) {
        this.#decoder.close(bitmap);
        this.#skip(item);
    }

    /** @param {Item} item */
    #skip(item) {
        // One that was acknowledged on receipt counts as seen by nobody, not as lost on its way.
        if (item.acknowledge !== null) {
            this.#skipped += 1;
        }
    }

    /** Nobody looks: acknowledge everything, and keep the newest for whoever returns. */
    #retire() {
        this.#environment.clearTimer(this.#decodeTimer);
        this.#alarm.set(null);
        const held = this.#held.clear();
        const decoded = this.#decoded.clear();
        // The newest first: its acknowledgement releases the others.
        [...held, ...this.#decoding, ...decoded.map(({ item }) => item)]
            .sort((one, other) => other.order - one.order)
            .forEach((item) => {
                item.dueMs = -Infinity;
                this.#acknowledge(item);
            });
        held.slice(-1).forEach((item) => this.#hold(item));
        // Each one overtakes the one before, which frees its bitmap.
        decoded.forEach((one) => this.#await(one));
    }

    /**
     * Acknowledge for the last time.
     *
     * @param {Item} item
     * @param {number} [presented_ms]
     */
    #acknowledge(item, presented_ms) {
        this.#release(item, presented_ms);
        item.acknowledge = null;
    }

    /**
     * @param {Item} item
     * @param {number} [presented_ms]
     */
    #release(item, presented_ms) {
        const { acknowledge, received_ms, decoded_ms } = item;
        if (acknowledge === null) {
            return;
        }
        const timings = { received_ms, decoded_ms, presented_ms, skipped: this.#skipped };
        this.#skipped = 0;
        acknowledge(timings);
    }
}
