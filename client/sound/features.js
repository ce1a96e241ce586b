/**
 * From sound to a few numbers: what is told of a moment. Pure: arrays in, numbers out; it knows no browser.
 *
 * Silence, hum and the noise of a room are zeros, all of them.
 */

import { Loudness } from './loudness.js';
import { OnsetDetector, Tempo } from './onsets.js';

/**
 * @typedef {object} Features Each from 0 to 1.
 * @property {number} level How loud it is.
 * @property {number} low Its bass, 20 to 250 Hz.
 * @property {number} mid Voices and most instruments, 250 to 2,000 Hz.
 * @property {number} high What hisses and shines, 2,000 to 8,000 Hz.
 * @property {number} onset A pulse where something begins.
 * @property {number} beat A pulse with each beat of the bass.
 * @property {number | null} tempo_bpm Beats a minute; null where there is no regular beat.
 */

/** @type {Features} */
export const SILENCE = { level: 0, low: 0, mid: 0, high: 0, onset: 0, beat: 0, tempo_bpm: null };

/** The names of the features that are from 0 to 1, in the order in which they are shown. */
export const FEATURES = /** @type {const} */ (['level', 'low', 'mid', 'high', 'onset', 'beat']);

// Edges in Hz, and what of each band may always be there: rooms rumble more than they hiss.
const BANDS = /** @type {const} */ ({
    low: { fromHz: 20, toHz: 250, floorDb: -44 },
    mid: { fromHz: 250, toHz: 2000, floorDb: -48 },
    high: { fromHz: 2000, toHz: 8000, floorDb: -52 },
});

// Of the waveform so much is the present, the rest of the window is for the spectrum: 21 ms at 48 kHz.
const LEVEL_SAMPLES = 1024;

// From the power of an AnalyserNode's bins (a Blackman window, whose mean square is 0.3046, the transform divided by
// its length) to the mean square of the sound in them.
const POWER_SCALE = 2 / 0.3046;

// Compresses magnitudes, so that a quiet instrument's begin counts beside a loud one's.
const COMPRESSION = 1000;

// Rises of the compressed magnitudes, a mean over bins. Below the least lies what windows make of steady tones; nobody
// plays faster than the refractory time, and 250 beats a minute are enough.
const ONSETS = { leastFlux: 0.03, factor: 1.7, refractoryMs: 70 };
const BEATS = { leastFlux: 0.08, factor: 3, refractoryMs: 240 };

// A page that hung for longer has heard nothing of it.
const MAX_STEP_S = 0.25;

export class Analysis {
    #binHz;
    #level = new Loudness();
    #bands = {
        low: new Loudness(BANDS.low.floorDb),
        mid: new Loudness(BANDS.mid.floorDb),
        high: new Loudness(BANDS.high.floorDb),
    };
    #onsets = new OnsetDetector(ONSETS);
    #beats = new OnsetDetector(BEATS);
    #tempo = new Tempo();
    /** @type {Float32Array | null} */
    #before = null;
    /** @type {number | null} */
    #lastMs = null;

    /** @param {{ sampleRate: number, fftSize: number }} sound */
    constructor({ sampleRate, fftSize }) {
        this.#binHz = sampleRate / fftSize;
    }

    /**
     * Take a moment.
     *
     * @param {Float32Array} samples The latest ones, from -1 to 1, the newest last.
     * @param {Float32Array} spectrumDb Of them, as `AnalyserNode.getFloatFrequencyData` gives it without smoothing.
     * @param {number} nowMs Never jumps.
     * @returns {Features}
     */
    take(samples, spectrumDb, nowMs) {
        const stepS = this.#lastMs === null ? 0.02 : Math.min(MAX_STEP_S, (nowMs - this.#lastMs) / 1000);
        this.#lastMs = nowMs;
        const level = this.#level.take(decibels(meanSquare(samples)), stepS);
        const { low, mid, high } = this.#takeBands(spectrumDb, stepS);
        const rises = this.#rises(spectrumDb);
        // What rises below the gate is not heard.
        const heard = this.#level.isOpen ? rises : { all: 0, low: 0 };
        const onset = this.#onsets.take(heard.all, nowMs, stepS);
        const beat = this.#beats.take(heard.low, nowMs, stepS);
        if (beat.isNew) {
            this.#tempo.note(nowMs);
        }
        const tempo_bpm = this.#tempo.bpm(nowMs);
        // A beat begins something, too, even where it is lost among everything else.
        return { level, low, mid, high, onset: Math.max(onset.value, beat.value), beat: beat.value, tempo_bpm };
    }

    /**
     * @param {Float32Array} spectrumDb
     * @param {number} stepS
     */
    #takeBands(spectrumDb, stepS) {
        const isHeard = this.#level.isOpen;
        const take = (/** @type {'low' | 'mid' | 'high'} */ name) => {
            const { from, to } = this.#binsOf(BANDS[name]);
            let power = 0;
            for (let bin = from; bin < to; bin += 1) {
                power += 10 ** (spectrumDb[bin] / 10);
            }
            return this.#bands[name].take(decibels(power * POWER_SCALE), stepS, isHeard);
        };
        return { low: take('low'), mid: take('mid'), high: take('high') };
    }

    /**
     * How much the spectrum has risen since the last moment, over all bands and in the bass.
     *
     * @param {Float32Array} spectrumDb
     */
    #rises(spectrumDb) {
        const bass = this.#binsOf(BANDS.low);
        const { to } = this.#binsOf(BANDS.high);
        const before = this.#before;
        const now = new Float32Array(to);
        let low = 0;
        let all = 0;
        for (let bin = bass.from; bin < to; bin += 1) {
            now[bin] = Math.log10(1 + COMPRESSION * 10 ** (spectrumDb[bin] / 20));
            const rise = before === null ? 0 : Math.max(0, now[bin] - before[bin]);
            all += rise;
            low += bin < bass.to ? rise : 0;
        }
        this.#before = now;
        return { all: all / (to - bass.from), low: low / (bass.to - bass.from) };
    }

    /** @param {{ fromHz: number, toHz: number }} band */
    #binsOf({ fromHz, toHz }) {
        return { from: Math.max(1, Math.round(fromHz / this.#binHz)), to: Math.round(toHz / this.#binHz) };
    }
}

/** @param {Float32Array} samples */
function meanSquare(samples) {
    const from = Math.max(0, samples.length - LEVEL_SAMPLES);
    let sum = 0;
    for (let index = from; index < samples.length; index += 1) {
        sum += samples[index] * samples[index];
    }
    return sum / (samples.length - from);
}

/** @param {number} power A mean square; 0.5 is a sine at full scale. */
function decibels(power) {
    return 10 * Math.log10(power);
}
