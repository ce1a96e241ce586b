/**
 * When the `time` exchange asks: a quick burst at the start and after a sleep, seldom otherwise.
 * What the answers mean is the clock's.
 */

import { Clock } from './clock.js';
import { TICK_MS } from './socket.js';

// The first exchanges follow each other at once: an offset is wanted with the first frames.
const QUICK_SAMPLES = 3;

// A page that loads answers late, so that some more are asked for once it has come to rest.
const SETTLING_SAMPLES = 5;
const SETTLING_MS = 400;

// Ticks that are this late were held up by a sleep, in which this clock may have stood still.
const SLEPT_MS = 1.5 * TICK_MS;

export class TimeExchange {
    #environment;
    #send;
    #clock = new Clock();
    #left = 0;
    #tickedMs = NaN;
    /** @type {any} */
    #timer = null;

    /**
     * @param {import('./environment.js').Environment} environment
     * @param {(question: { type: string, client_sent_ms: number }) => void} send
     */
    constructor(environment, send) {
        this.#environment = environment;
        this.#send = send;
    }

    /** The best sample so far, for acknowledgements; null before the first answer. */
    get best() {
        return this.#clock.best;
    }

    /** What to add to this browser's clock to get the server's, without jumps; null before the first answer. */
    get offsetMs() {
        return this.#clock.offsetAt(this.#environment.nowMs());
    }

    /** Begin anew on another connection. */
    begin() {
        this.#clock.reset();
        this.#tickedMs = this.#environment.nowMs();
        this.hurry();
    }

    /** Ask several times in a row: the page has come back, and what it knew may be old. */
    hurry() {
        this.#left = QUICK_SAMPLES + SETTLING_SAMPLES;
        this.#ask();
    }

    /** Ask as one does from time to time. */
    tick() {
        const nowMs = this.#environment.nowMs();
        if (nowMs - this.#tickedMs > SLEPT_MS) {
            this.hurry();
        } else {
            this.#ask();
        }
        this.#tickedMs = nowMs;
    }

    /** @param {import('./wire.js').Time} answer */
    take(answer) {
        this.#clock.take(answer, this.#environment.nowMs());
        this.#left -= 1;
        if (this.#left > SETTLING_SAMPLES) {
            this.#ask();
        } else if (this.#left > 0) {
            this.stop();
            this.#timer = this.#environment.setTimer(() => this.#ask(), SETTLING_MS);
        }
    }

    /** Ask no more by itself. */
    stop() {
        this.#environment.clearTimer(this.#timer);
    }

    #ask() {
        this.stop();
        this.#send(this.#clock.ask(this.#environment.nowMs()));
    }
}
