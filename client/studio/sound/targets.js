/** Which canvases are told what is heard: those that are wanted, as far as they take it. Pure. */

import { FEATURES } from '../../sound/features.js';

/** @typedef {import('../../sound/pacer.js').AudioMessage} AudioMessage */

/** What a canvas is told that is told no more: its last numbers must not stay. @type {AudioMessage} */
const ZEROS = { type: 'audio', ...Object.fromEntries(FEATURES.map((name) => [name, 0])) };

export class Targets {
    #canvases;
    /** @type {string[]} */
    #wanted = [];
    /** Those that have heard something since they were last told zeros. @type {Set<string>} */
    #loud = new Set();

    /** @param {Pick<import('../canvases/panel.js').CanvasesPanel, 'send' | 'takesAudio'>} canvases */
    constructor(canvases) {
        this.#canvases = canvases;
    }

    /**
     * @param {string[]} slugs Who is to be told from now on.
     * @returns {{ told: string[], deaf: string[] }} Those that take it, and those that do not.
     */
    aim(slugs) {
        this.#wanted = slugs;
        for (const slug of [...this.#loud].filter((loud) => !slugs.includes(loud))) {
            this.#loud.delete(slug);
            this.#canvases.send(slug, ZEROS);
        }
        return {
            told: slugs.filter((slug) => this.#canvases.takesAudio(slug)),
            deaf: slugs.filter((slug) => !this.#canvases.takesAudio(slug)),
        };
    }

    /** @param {AudioMessage} message */
    send(message) {
        const isQuiet = FEATURES.every((name) => message[name] === 0);
        for (const slug of this.#wanted) {
            if (this.#canvases.takesAudio(slug) && !(isQuiet && !this.#loud.has(slug))) {
                this.#canvases.send(slug, message);
                if (isQuiet) {
                    this.#loud.delete(slug);
                } else {
                    this.#loud.add(slug);
                }
            }
        }
    }
}
