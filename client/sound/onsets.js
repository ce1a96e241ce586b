/**
 * Where something begins: rises of a spectrum that stand out from the rises of the last second, and how often they
 * come. Pure.
 *
 * Source: spectral flux with an adaptive threshold, after Böck, Krebs, Schedl, "Evaluating the Online Capabilities of
 * Onset Detection Methods", ISMIR 2012.
 */

// A strong one comes up to three times the threshold; one that just passes it is half of it.
const FULL_FACTOR = 3;
const LEAST_STRENGTH = 0.5;

// How long the means remember: the short one has learned what noise is like before a second of it is over.
const MEMORY_S = 1;
const SHORT_MEMORY_S = 0.15;

// Pulses fade so fast: visible at 20 messages a second and over before the next beat of 200 a minute.
const PULSE_S = 0.12;
const NOTHING = 0.004;

/**
 * @typedef {object} Sensitivity
 * @property {number} leastFlux Smaller rises are none, however quiet it was.
 * @property {number} factor A rise must be so many times the mean of the last second: those of steady noise are not,
 *     and the fewer bins they are a mean of, the more they jump about.
 * @property {number} refractoryMs After one no other for so long.
 */

export class OnsetDetector {
    #sensitivity;
    #mean = 0;
    #shortMean = 0;
    #value = 0;
    #lastMs = -Infinity;

    /** @param {Sensitivity} sensitivity */
    constructor(sensitivity) {
        this.#sensitivity = sensitivity;
    }

    /**
     * @param {number} flux How much the spectrum has risen since the last moment.
     * @param {number} nowMs
     * @param {number} stepS Since the last moment.
     * @returns {{ value: number, isNew: boolean }} A pulse from 1 that fades, and whether it begins here.
     */
    take(flux, nowMs, stepS) {
        const { leastFlux, factor, refractoryMs } = this.#sensitivity;
        const threshold = Math.max(leastFlux, factor * this.#mean, factor * this.#shortMean);
        this.#mean += (flux - this.#mean) * (1 - Math.exp(-stepS / MEMORY_S));
        this.#shortMean += (flux - this.#shortMean) * (1 - Math.exp(-stepS / SHORT_MEMORY_S));
        const faded = this.#value * Math.exp(-stepS / PULSE_S);
        this.#value = faded < NOTHING ? 0 : faded;
        const isNew = flux > threshold && nowMs - this.#lastMs >= refractoryMs;
        if (isNew) {
            this.#lastMs = nowMs;
            const share = (flux / threshold - 1) / (FULL_FACTOR - 1);
            const strength = LEAST_STRENGTH + (1 - LEAST_STRENGTH) * Math.min(1, share);
            this.#value = Math.max(this.#value, strength);
        }
        return { value: this.#value, isNew };
    }
}

// Tempos of music; what lies outside is half or double of one.
const LEAST_BPM = 70;
const GREATEST_BPM = 180;

// So many beats tell the tempo, and without another one for so long there is none any more.
const MAX_BEATS = 24;
const MIN_INTERVALS = 4;
const FORGET_MS = 3000;

// Intervals this close to the middle one are one beat apart, give or take a drummer.
const TOLERANCE = 0.12;
const AGREEMENT = 0.6;

/** Beats a minute, from when they came. */
export class Tempo {
    /** @type {number[]} */
    #beatsMs = [];

    /** @param {number} nowMs */
    note(nowMs) {
        this.#beatsMs = [...this.#beatsMs, nowMs].slice(-MAX_BEATS);
    }

    /**
     * @param {number} nowMs
     * @returns {number | null} Null where there is no regular beat.
     */
    bpm(nowMs) {
        const beats = this.#beatsMs;
        if (beats.length === 0 || nowMs - beats[beats.length - 1] > FORGET_MS) {
            this.#beatsMs = [];
            return null;
        }
        const intervals = beats.slice(1).map((beatMs, index) => beatMs - beats[index]);
        if (intervals.length < MIN_INTERVALS) {
            return null;
        }
        const middle = [...intervals].sort((one, other) => one - other)[Math.floor(intervals.length / 2)];
        const alike = intervals.filter((interval) => Math.abs(interval / middle - 1) <= TOLERANCE);
        if (alike.length < AGREEMENT * intervals.length) {
            return null;
        }
        return folded(60_000 / (alike.reduce((sum, interval) => sum + interval, 0) / alike.length));
    }
}

/** @param {number} bpm */
function folded(bpm) {
    let tempo = bpm;
    while (tempo < LEAST_BPM) {
        tempo *= 2;
    }
    while (tempo > GREATEST_BPM) {
        tempo /= 2;
    }
    return tempo;
}
