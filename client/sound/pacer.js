/**
 * Sends what is heard: at most 20 messages a second, never two at once, and none while it is silent.
 *
 * Pulses are held until they are told: the greatest since the last message. Numbers have three digits: more would
 * tell nothing and could tell too much.
 */

import { FEATURES, SILENCE } from './features.js';

/** @typedef {{ type: string } & Record<string, number | string>} AudioMessage */

// Between two messages: 20 a second are what the server takes of one connection.
const SPACING_MS = 50;

// These last for less than the time between two messages.
const PULSES = new Set(['onset', 'beat']);

export class Pacer {
    #environment;
    #send;
    #lastMs = -Infinity;
    /** Whether the last message was one of zeros: at the start nobody has been told otherwise. */
    #isQuiet = true;
    /** @type {Record<string, number>} */
    #held = {};

    /**
     * @param {(message: AudioMessage) => void} send
     * @param {Pick<import('./environment.js').SoundEnvironment, 'nowMs' | 'setTimer'>} environment
     */
    constructor(send, environment) {
        this.#send = send;
        this.#environment = environment;
    }

    /** @param {import('./features.js').Features} features What is heard now. */
    offer(features) {
        for (const name of FEATURES) {
            const isPulse = PULSES.has(name);
            this.#held[name] = isPulse ? Math.max(this.#held[name] ?? 0, features[name]) : features[name];
        }
        if (this.#waitMs() <= 0) {
            this.#tell(features.tempo_bpm);
        }
    }

    /** From here on nothing is offered: somebody has switched off. The zeros wait for their turn, too. */
    silence() {
        this.#held = {};
        this.#environment.setTimer(() => this.offer(SILENCE), Math.max(0, this.#waitMs()));
    }

    #waitMs() {
        return this.#lastMs + SPACING_MS - this.#environment.nowMs();
    }

    /** @param {number | null} tempoBpm */
    #tell(tempoBpm) {
        /** @type {AudioMessage} */
        const message = { type: 'audio' };
        let isQuiet = true;
        for (const name of FEATURES) {
            const value = Math.round(1000 * this.#held[name]) / 1000;
            message[name] = value;
            isQuiet = isQuiet && value === 0;
        }
        this.#held = {};
        if (isQuiet && this.#isQuiet) {
            return;
        }
        if (tempoBpm !== null && !isQuiet) {
            message.tempo_bpm = Math.round(10 * tempoBpm) / 10;
        }
        this.#isQuiet = isQuiet;
        this.#send(message);
        // From when it has gone: whoever was held up in between must not send the next one sooner.
        this.#lastMs = this.#environment.nowMs();
    }
}
