/**
 * When the stage's words are written anew: soon after a change, never more than ten times a second, and
 * by itself when a time on it is another one. Without a change and without a time, never.
 */

// Nobody reads faster, and every writing costs the stream that the page is part of.
const REST_MS = 100;

// A timer that is rounded down comes just before its time.
const MARGIN_MS = 5;

// Longer waits than a timer holds are asked for again.
const LONGEST_MS = 3_600_000;

export class Refresher {
    #environment;
    #show;
    #shownMs = -Infinity;
    /** @type {any} */
    #timer = null;

    /**
     * @param {import('../stream/environment.js').Environment} environment
     * @param {() => number} show Writes everything; gives in how many milliseconds it is out of date; Infinity: never.
     */
    constructor(environment, show) {
        this.#environment = environment;
        this.#show = show;
    }

    /** Something has changed. */
    changed() {
        const sinceMs = this.#environment.nowMs() - this.#shownMs;
        // A clock that was set back must not hold everything up.
        if (sinceMs >= REST_MS || sinceMs < 0) {
            this.#refresh();
        } else {
            this.#wait(REST_MS - sinceMs);
        }
    }

    close() {
        this.#environment.clearTimer(this.#timer);
    }

    #refresh() {
        this.#shownMs = this.#environment.nowMs();
        const changesInMs = this.#show();
        if (changesInMs === Infinity) {
            this.close();
        } else {
            this.#wait(Math.min(LONGEST_MS, Math.max(REST_MS, changesInMs + MARGIN_MS)));
        }
    }

    /** @param {number} delayMs */
    #wait(delayMs) {
        this.close();
        this.#timer = this.#environment.setTimer(() => this.#refresh(), delayMs);
    }
}
