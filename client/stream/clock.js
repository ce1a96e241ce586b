/**
 * The server's clock, as this browser sees it: the `time` exchange, best of several.
 *
 * The exchange with the shortest round trip was queued the least, so that its middle lies nearest to
 * the instant at which the server answered (RFC 5905, clock filter). What frames are presented by
 * moves to a better sample slowly: a clock that jumps shows in a moving picture.
 */

/**
 * @typedef {object} Sample
 * @property {number} offset_ms What to add to this browser's clock to get the server's.
 * @property {number} rtt_ms
 */

// At one exchange in ten seconds: old enough to hold a quick one, young enough to follow a drift.
const KEPT_SAMPLES = 8;

// Clocks of computers drift by up to 0.1 ms a second: an older sample says less than any new one.
const MAX_AGE_MS = 120_000;

// With fewer the estimate is still rough, and going on with it is worse than one early jump.
const SETTLED_SAMPLES = 3;

// The share of the passing time by which the estimate moves: 10 ms in a second, too little to be seen.
const SLEW = 0.01;

// Beyond what both round trips explain and drift allows, a clock was set, or stood still in a sleep.
const STEP_MS = 50;

export class Clock {
    /** @type {{ sample: Sample, atMs: number }[]} */
    #kept = [];
    #askedMs = NaN;
    /** @type {{ offsetMs: number, atMs: number } | null} */
    #slewed = null;

    /**
     * The best sample so far; null before the first answer.
     *
     * @returns {Sample | null}
     */
    get best() {
        /** @type {Sample | null} */
        let best = null;
        for (const { sample } of this.#kept) {
            if (best === null || sample.rtt_ms < best.rtt_ms) {
                best = sample;
            }
        }
        return best;
    }

    /** How many samples there are. */
    get count() {
        return this.#kept.length;
    }

    /**
     * Give what to add to this browser's clock, in milliseconds, near the best sample and without
     * jumps; null before the first answer.
     *
     * @param {number} nowMs
     */
    offsetAt(nowMs) {
        const best = this.best;
        if (best === null) {
            return null;
        }
        if (this.#slewed === null || this.count < SETTLED_SAMPLES) {
            this.#slewed = { offsetMs: best.offset_ms, atMs: nowMs };
        } else {
            const { offsetMs, atMs } = this.#slewed;
            const reachMs = SLEW * Math.max(0, nowMs - atMs);
            const wayMs = Math.min(reachMs, Math.max(-reachMs, best.offset_ms - offsetMs));
            this.#slewed = { offsetMs: offsetMs + wayMs, atMs: nowMs };
        }
        return this.#slewed.offsetMs;
    }

    /** Forget all samples: another connection may mean another server, or another route. */
    reset() {
        this.#kept = [];
        this.#askedMs = NaN;
        this.#slewed = null;
    }

    /**
     * Note a question that leaves now, and give its message.
     *
     * @param {number} nowMs
     */
    ask(nowMs) {
        this.#askedMs = nowMs;
        return { type: 'time', client_sent_ms: nowMs };
    }

    /**
     * Take an answer. One that belongs to no open question is ignored.
     *
     * @param {import('./wire.js').Time} answer
     * @param {number} nowMs
     */
    take(answer, nowMs) {
        if (answer.client_sent_ms !== this.#askedMs) {
            return;
        }
        this.#askedMs = NaN;
        const middleMs = (answer.client_sent_ms + nowMs) / 2;
        const sample = {
            offset_ms: answer.server_time_ms - middleMs,
            rtt_ms: nowMs - answer.client_sent_ms,
        };
        const isOld = (/** @type {number} */ atMs) => nowMs - atMs > MAX_AGE_MS;
        this.#kept = this.#kept.filter((kept) => !isOld(kept.atMs));
        if (this.#contradicts(sample)) {
            this.#kept = [];
        }
        this.#kept.push({ sample, atMs: nowMs });
        if (this.#kept.length > KEPT_SAMPLES) {
            this.#kept.shift();
        }
    }

    /**
     * Tell whether a sample cannot be of the same two clocks: an offset is wrong by half its round trip at most.
     *
     * @param {Sample} sample
     */
    #contradicts(sample) {
        const best = this.best;
        if (best === null) {
            return false;
        }
        const explainedMs = (sample.rtt_ms + best.rtt_ms) / 2 + STEP_MS;
        return Math.abs(sample.offset_ms - best.offset_ms) > explainedMs;
    }
}
