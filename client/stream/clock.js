/**
 * The server's clock, as this browser sees it: the `time` exchange, best of several.
 *
 * The exchange with the shortest round trip was queued the least, so that its middle lies nearest to
 * the instant at which the server answered (RFC 5905, clock filter).
 */

/**
 * @typedef {object} Sample
 * @property {number} offset_ms What to add to this browser's clock to get the server's.
 * @property {number} rtt_ms
 */

// At one exchange in ten seconds: old enough to hold a quick one, young enough to follow a drift.
const KEPT_SAMPLES = 8;

export class Clock {
    /** @type {Sample[]} */
    #samples = [];
    #askedMs = NaN;

    /** The best sample so far; null before the first answer. */
    get best() {
        /** @type {Sample | null} */
        let best = null;
        for (const sample of this.#samples) {
            if (best === null || sample.rtt_ms < best.rtt_ms) {
                best = sample;
            }
        }
        return best;
    }

    /** How many samples there are. */
    get count() {
        return this.#samples.length;
    }

    /** Forget all samples: another connection may mean another server, or another route. */
    reset() {
        this.#samples = [];
        this.#askedMs = NaN;
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
        this.#samples.push({
            offset_ms: answer.server_time_ms - middleMs,
            rtt_ms: nowMs - answer.client_sent_ms,
        });
        if (this.#samples.length > KEPT_SAMPLES) {
            this.#samples.shift();
        }
    }
}
