/** How long to wait before the next attempt: capped exponential backoff with full jitter. */

// The first retry comes at once for an eye, and still spreads a wall of screens a little.
const BASE_MS = 250;

// A screen is back within seconds of its server, however long that was away.
const CAP_MS = 8000;

export class Backoff {
    #attempts = 0;
    #random;
    #capMs;

    /**
     * @param {() => number} random From 0 to 1, without 1.
     * @param {number} [capMs]
     */
    constructor(random, capMs = CAP_MS) {
        this.#random = random;
        this.#capMs = capMs;
    }

    /**
     * Count an attempt and give the wait before it, in milliseconds.
     *
     * Full jitter, from nothing to the whole: the screens of a restarted server must not come back
     * as one (AWS Architecture Blog, "Exponential Backoff And Jitter").
     */
    nextMs() {
        const ceilingMs = Math.min(this.#capMs, BASE_MS * 2 ** this.#attempts);
        this.#attempts += 1;
        return this.#random() * ceilingMs;
    }

    /** Begin anew: the peer has done its work. */
    reset() {
        this.#attempts = 0;
    }
}
