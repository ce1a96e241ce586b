/**
 * From received frames to the screen: the newest wins, and is never lost.
 *
 * A frame waits in a single slot, is decoded outside of the socket's handler, and is drawn in the
 * next animation frame; whatever a newer one overtakes on that way is closed and counted as skipped.
 * It does not know what it draws on, nor who wants the acknowledgement. Order is that of arrival:
 * sequences begin anew with a new epoch, while the picture on the screen stays.
 */

/** @typedef {import('./wire.js').Frame} Frame */

/**
 * @typedef {object} PainterHandlers
 * @property {(bitmap: ImageBitmap, frame: Frame) => void} draw
 * @property {(frame: Frame) => void} onPresented A frame was drawn for the first time.
 * @property {(frame: Frame) => void} onCorrupt A frame could not be decoded.
 */

/**
 * @typedef {object} Item A frame on its way.
 * @property {Frame} frame
 * @property {number} order Of arrival.
 * @property {import('./connection.js').Acknowledge | null} acknowledge Null once it was called.
 * @property {boolean} again Whether the frame was on the screen before and is drawn anew.
 * @property {number} received_ms
 * @property {number} [decoded_ms]
 */

// A second frame is decoded while the first one is: frames may come faster than one decodes.
const MAX_DECODES = 2;

/** @type {PainterHandlers['onCorrupt']} */
const ignore = () => {};

export class Painter {
    #decoder;
    #environment;
    #handlers;
    /** @type {Item | null} The slot: the newest frame that is not decoded yet. */
    #waiting = null;
    /** @type {Set<Item>} */
    #decoding = new Set();
    /** @type {{ item: Item, bitmap: ImageBitmap } | null} What the next animation frame draws. */
    #ready = null;
    /** @type {Frame | null} What the screen shows, still encoded: a bitmap is up to 33 MB, this is not. */
    #shown = null;
    #isFrameRequested = false;
    #isVisible = true;
    #isClosed = false;
    #received = 0;
    #newestDecoded = 0;
    #skipped = 0;

    /**
     * @param {import('./decoder.js').Decoder} decoder
     * @param {import('./environment.js').Environment} environment
     * @param {Partial<PainterHandlers> & Pick<PainterHandlers, 'draw'>} handlers
     */
    constructor(decoder, environment, handlers) {
        this.#decoder = decoder;
        this.#environment = environment;
        this.#handlers = { onPresented: ignore, onCorrupt: ignore, ...handlers };
    }

    /**
     * Take a frame.
     *
     * @param {Frame} frame
     * @param {import('./connection.js').Acknowledge} acknowledge Called once at most: when the frame was
     *     presented, could not be decoded, or has come while nobody can see the page.
     */
    offer(frame, acknowledge) {
        const item = this.#enter(frame, acknowledge, false);
        if (!this.#isVisible) {
            this.#acknowledge(item);
        }
        this.#decodeNext();
    }

    /** Draw the last picture anew: its place has another size. */
    repaint() {
        // Whatever is on its way will be drawn at the new size anyway.
        const isIdle = this.#waiting === null && this.#ready === null && this.#decoding.size === 0;
        if (this.#shown !== null && isIdle) {
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
        this.#isVisible = isVisible;
        if (!isVisible) {
            this.#releaseAll();
        }
        this.#decodeNext();
    }

    /** Count anew: skipped frames are told to the server that has sent them. */
    restart() {
        this.#skipped = 0;
    }

    close() {
        this.#isClosed = true;
        this.#waiting = null;
        this.#shown = null;
        this.#discardReady();
    }

    /**
     * @param {Frame} frame
     * @param {Item['acknowledge']} acknowledge
     * @param {boolean} again
     * @returns {Item}
     */
    #enter(frame, acknowledge, again) {
        if (this.#waiting !== null) {
            this.#skip(this.#waiting);
        }
        this.#received += 1;
        const received_ms = this.#environment.nowMs();
        this.#waiting = { frame, order: this.#received, acknowledge, again, received_ms };
        return this.#waiting;
    }

    #decodeNext() {
        const item = this.#waiting;
        if (item !== null && this.#isVisible && !this.#isClosed && this.#decoding.size < MAX_DECODES) {
            this.#waiting = null;
            void this.#decode(item);
        }
    }

    /** @param {Item} item */
    async #decode(item) {
        this.#decoding.add(item);
        const bitmap = await this.#decoder.decode(item.frame.image, item.frame.format).catch(() => null);
        this.#decoding.delete(item);
        if (bitmap === null) {
            // One broken image is no reason to stop; the server still waits for its release.
            this.#skip(item);
            this.#acknowledge(item);
            this.#handlers.onCorrupt(item.frame);
        } else {
            item.decoded_ms = this.#environment.nowMs();
            this.#offerBitmap(item, bitmap);
        }
        this.#decodeNext();
    }

    /**
     * @param {Item} item
     * @param {ImageBitmap} bitmap
     */
    #offerBitmap(item, bitmap) {
        if (this.#isClosed || item.order < this.#newestDecoded) {
            this.#decoder.close(bitmap);
            this.#skip(item);
            return;
        }
        this.#newestDecoded = item.order;
        this.#discardReady();
        this.#ready = { item, bitmap };
        if (!this.#isFrameRequested) {
            this.#isFrameRequested = true;
            this.#environment.requestFrame(() => this.#paint());
        }
    }

    #paint() {
        this.#isFrameRequested = false;
        if (this.#ready === null) {
            return;
        }
        const { item, bitmap } = this.#ready;
        this.#ready = null;
        try {
            this.#handlers.draw(bitmap, item.frame);
        } finally {
            this.#decoder.close(bitmap);
        }
        this.#shown = item.frame;
        if (!item.again) {
            this.#handlers.onPresented(item.frame);
            // Raster is part of showing a picture: told when the frame is on its way to the screen.
            this.#environment.afterFrame(() => this.#acknowledge(item, this.#environment.nowMs()));
        }
    }

    #discardReady() {
        if (this.#ready !== null) {
            this.#decoder.close(this.#ready.bitmap);
            this.#skip(this.#ready.item);
            this.#ready = null;
        }
    }

    /** @param {Item} item */
    #skip(item) {
        // One that was acknowledged on receipt counts as seen by nobody, not as lost on its way.
        if (item.acknowledge !== null) {
            this.#skipped += 1;
        }
    }

    #releaseAll() {
        // The newest first: its acknowledgement releases the others.
        const onTheirWay = [this.#waiting, ...[...this.#decoding].reverse(), this.#ready?.item];
        for (const item of onTheirWay) {
            if (item) {
                this.#acknowledge(item);
            }
        }
    }

    /**
     * @param {Item} item
     * @param {number} [presented_ms]
     */
    #acknowledge(item, presented_ms) {
        const acknowledge = item.acknowledge;
        if (acknowledge === null) {
            return;
        }
        item.acknowledge = null;
        const timings = {
            received_ms: item.received_ms,
            decoded_ms: item.decoded_ms,
            presented_ms,
            skipped: this.#skipped,
        };
        this.#skipped = 0;
        acknowledge(timings);
    }
}
