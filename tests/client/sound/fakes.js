/** Sounds that are computed, and an AnalyserNode's way of looking at them. */

import { Analysis } from '../../../client/sound/features.js';

export const SAMPLE_RATE = 48_000;
const FFT_SIZE = 2048;
const HOP_MS = 20;

/** A source of noise that is the same in every run: a linear congruential generator. */
export function noise(amplitude, seed = 1) {
    let state = seed;
    return () => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return amplitude * (state / 2 ** 31 - 1);
    };
}

export function sine(hz, amplitude) {
    return (t) => amplitude * Math.sin(2 * Math.PI * hz * t);
}

/** Bursts of a bass drum, so many a minute. */
export function kicks(bpm, amplitude = 0.8) {
    return (t) => {
        const since = t % (60 / bpm);
        const hz = 55 + 60 * Math.exp(-since / 0.02);
        return amplitude * Math.exp(-since / 0.06) * Math.sin(2 * Math.PI * hz * since);
    };
}

/** Clicks of two milliseconds. */
export function clicks(bpm, amplitude = 0.8) {
    return (t) => (t % (60 / bpm) < 0.002 ? amplitude : 0);
}

/**
 * What is told of a sound, moment by moment.
 *
 * @param {(t: number) => number} sound
 * @param {number} seconds
 */
export function featuresOf(sound, seconds) {
    const analysis = new Analysis({ sampleRate: SAMPLE_RATE, fftSize: FFT_SIZE });
    const hop = (SAMPLE_RATE * HOP_MS) / 1000;
    const window = new Float32Array(FFT_SIZE);
    const told = [];
    for (let moment = 0; moment * HOP_MS < seconds * 1000; moment += 1) {
        window.copyWithin(0, hop);
        for (let index = 0; index < hop; index += 1) {
            window[FFT_SIZE - hop + index] = sound((moment * hop + index) / SAMPLE_RATE);
        }
        const nowMs = 5000 + moment * HOP_MS;
        told.push({ t: (moment * HOP_MS) / 1000, ...analysis.take(window, spectrumOf(window), nowMs) });
    }
    return told;
}

/** Decibels of each bin as the Web Audio specification has them: Blackman's window, divided by the length. */
function spectrumOf(samples) {
    const real = Float64Array.from(samples, (sample, index) => {
        const turn = (2 * Math.PI * index) / FFT_SIZE;
        return sample * (0.42 - 0.5 * Math.cos(turn) + 0.08 * Math.cos(2 * turn));
    });
    const imaginary = new Float64Array(FFT_SIZE);
    transform(real, imaginary);
    return Float32Array.from({ length: FFT_SIZE / 2 }, (_, bin) =>
        20 * Math.log10(Math.hypot(real[bin], imaginary[bin]) / FFT_SIZE));
}

/** Fourier's, in place, by halves. */
function transform(real, imaginary) {
    const size = real.length;
    for (let index = 1, mirrored = 0; index < size; index += 1) {
        let bit = size >> 1;
        for (; mirrored & bit; bit >>= 1) {
            mirrored ^= bit;
        }
        mirrored ^= bit;
        if (index < mirrored) {
            [real[index], real[mirrored]] = [real[mirrored], real[index]];
            [imaginary[index], imaginary[mirrored]] = [imaginary[mirrored], imaginary[index]];
        }
    }
    for (let length = 2; length <= size; length *= 2) {
        const half = length / 2;
        for (let offset = 0; offset < half; offset += 1) {
            const angle = (-2 * Math.PI * offset) / length;
            const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
            for (let at = offset; at < size; at += length) {
                const other = at + half;
                const re = real[other] * cos - imaginary[other] * sin;
                const im = real[other] * sin + imaginary[other] * cos;
                real[other] = real[at] - re;
                imaginary[other] = imaginary[at] - im;
                real[at] += re;
                imaginary[at] += im;
            }
        }
    }
}
