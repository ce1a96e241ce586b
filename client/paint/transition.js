/**
 * When one picture turns into the next, and how far it has come: pure timing.
 *
 * A transition goes by the clock and not by frames: a slow machine shows fewer steps of it and takes no
 * longer. Where the next picture is due before it would be over there is none: something would move
 * all the time, and no picture would ever be seen.
 */

import { SINGLE_PICTURES } from '../stream/wire.js';

/** @typedef {import('../stream/wire.js').Transition} Transition */

/** @type {Transition} */
export const CUT = { kind: 'cut', duration_s: 0 };

// The first step is drawn for the end of its animation frame: something of the new picture is to be seen in it.
const FIRST_STEP_MS = 1000 / 60;
const LEAST_AMOUNT = 1 / 64;

// Of so many pauses between pictures the middle one counts: one that comes by itself, or late, changes nothing.
const COUNTED = 3;

/** What has to be known of a canvas's pictures: how soon the next one comes. */
export class Rhythm {
    /** @type {number[]} The last pauses between pictures. */
    #pausesMs = [];
    /** @type {number | null} */
    #lastMs = null;
    /** @type {string | null | undefined} */
    #job;

    /**
     * Note a picture that is shown now.
     *
     * @param {number} nowMs
     * @param {string | null | undefined} job What painted it: another one has another rhythm.
     */
    note(nowMs, job) {
        if (job !== this.#job) {
            this.#job = job;
            this.#pausesMs = [];
        }
        if (this.#lastMs !== null) {
            this.#pausesMs = [...this.#pausesMs, nowMs - this.#lastMs].slice(-COUNTED);
        }
        this.#lastMs = nowMs;
    }

    /** Pictures that nobody saw are not counted: the pause that ends with the next one is none. */
    interrupt() {
        this.#lastMs = null;
    }

    /**
     * How long after one picture the next is to be expected.
     *
     * @param {number} plannedMs The pause that the canvas is painted at; Infinity: nobody has planned any.
     */
    nextInMs(plannedMs) {
        const sorted = [...this.#pausesMs].sort((one, other) => one - other);
        if (sorted.length === COUNTED) {
            return sorted[1];
        }
        // Too few to go by: the shortest of what is known, and of what was planned.
        return Math.min(plannedMs, sorted[0] ?? Infinity);
    }
}

/**
 * The pause that a canvas is painted at, as its status tells; Infinity where no other picture is planned.
 *
 * @param {import('../stream/wire.js').Status} status
 * @param {number} canvasFps
 */
export function plannedPauseMs({ state, job }, canvasFps) {
    const isPaced = state === 'painting' && !SINGLE_PICTURES.has(job?.kind ?? '');
    const fps = job?.parameters?.fps ?? canvasFps;
    return isPaced && fps > 0 ? 1000 / fps : Infinity;
}

/** One transition on its way. */
export class Progress {
    #startedMs;
    #durationMs;

    /**
     * @param {Transition} transition
     * @param {number} nowMs
     */
    constructor(transition, nowMs) {
        this.#durationMs = 1000 * transition.duration_s;
        this.#startedMs = nowMs - FIRST_STEP_MS;
    }

    /**
     * How much of the new picture there is: more than 0, up to 1; slowly at both ends.
     *
     * @param {number} nowMs
     */
    amountAt(nowMs) {
        const part = Math.min(1, Math.max(0, (nowMs - this.#startedMs) / this.#durationMs));
        return Math.max(LEAST_AMOUNT, part * part * (3 - 2 * part));
    }
}
