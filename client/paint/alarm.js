/**
 * Rings in the animation frame nearest to an instant: a timer up to shortly before it, animation
 * frames from there on. At most one of either is outstanding. It does not know what is shown.
 */

// A timer may be late by a few milliseconds, an animation frame is at most this far away.
const EARLY_MS = 35;

// Until a pause between two animation frames was seen; most screens refresh at this rate.
const FRAME_MS = 1000 / 60;

// From a screen of 240 Hz to a busy machine: a longer pause is a stall, and nothing to go by.
const MIN_FRAME_MS = 4;
const MAX_FRAME_MS = 34;

// The share that the latest pause has in the estimate.
const WEIGHT = 0.2;

export class Alarm {
    #environment;
    #ring;
    #dueMs = Infinity;
    #isFrameRequested = false;
    #frameMs = FRAME_MS;
    #passedMs = NaN;
    /** @type {any} */
    #timer = null;

    /**
     * @param {import('../stream/environment.js').Environment} environment
     * @param {(untilMs: number) => void} ring Called in an animation frame; what is due before `untilMs`
     *     is nearer to this frame than to the next one.
     */
    constructor(environment, ring) {
        this.#environment = environment;
        this.#ring = ring;
    }

    /**
     * Ring once at this instant, and no longer at the one that was set before.
     *
     * @param {number | null} dueMs -Infinity: in the next animation frame; null: not at all.
     */
    set(dueMs) {
        this.#environment.clearTimer(this.#timer);
        this.#dueMs = dueMs ?? Infinity;
        const waitMs = this.#dueMs - this.#environment.nowMs() - EARLY_MS;
        if (waitMs <= 0) {
            this.#request();
        } else if (waitMs < Infinity) {
            this.#timer = this.#environment.setTimer(() => this.#request(), waitMs);
        }
    }

    #request() {
        if (!this.#isFrameRequested) {
            this.#isFrameRequested = true;
            this.#environment.requestFrame(() => this.#pass());
        }
    }

    #pass() {
        this.#isFrameRequested = false;
        const nowMs = this.#environment.nowMs();
        this.#measure(nowMs);
        const untilMs = nowMs + this.#frameMs / 2;
        if (this.#dueMs <= untilMs) {
            this.#dueMs = Infinity;
            this.#ring(untilMs);
        } else {
            this.set(this.#dueMs);
        }
        // Only frames that follow each other tell the screen's pace.
        this.#passedMs = this.#isFrameRequested ? nowMs : NaN;
    }

    /**
     * Learn the screen's pace.
     *
     * @param {number} nowMs
     */
    #measure(nowMs) {
        const pauseMs = nowMs - this.#passedMs;
        if (pauseMs >= MIN_FRAME_MS && pauseMs <= MAX_FRAME_MS) {
            this.#frameMs += WEIGHT * (pauseMs - this.#frameMs);
        }
    }
}
