/** Encoded images to pictures, every one of them counted: one that nobody closes is a leak. */

import { waysOf } from './decoders.js';
import { SAMPLES } from './samples.js';

/** @typedef {import('./decoders.js').Picture} Picture */
/** @typedef {import('./decoders.js').Way} Way */
/** @typedef {{ created: number, closed: number }} BitmapCounts */

// A pixel decodes in a millisecond: what takes longer than this never ends, as some decoders do that lack their codec.
const SAMPLE_PATIENCE_MS = 1000;

// The largest picture on the slowest machine takes a second or two. One that never ends must not hold up the others.
const PATIENCE_MS = 15_000;

export class Decoder {
    #environment;
    #onCount;
    #ways;
    /** @type {Map<string, Way>} What was found to work, by format. */
    #chosen = new Map();
    /** @type {BitmapCounts} */
    #counts = { created: 0, closed: 0 };

    /**
     * @param {import('../stream/environment.js').Environment} environment
     * @param {(counts: Readonly<BitmapCounts>) => void} [onCount] Called at every change.
     * @param {Way[]} [ways] To decode, the one to be preferred first; at least one.
     */
    constructor(environment, onCount = () => {}, ways = waysOf(environment, globalThis)) {
        this.#environment = environment;
        this.#onCount = onCount;
        this.#ways = ways;
    }

    /**
     * Decode an image, away from the main thread where the browser can.
     *
     * @param {Uint8Array<ArrayBuffer>} image
     * @param {string} format `jpeg`, `webp` or `png`.
     * @returns {Promise<Picture>} Upright; to be given to `close` once.
     * @throws {Error} If the image is corrupt, the format unknown here, or the browser never done with it.
     */
    decode(image, format) {
        return this.#decodeBy(this.#chosen.get(format) ?? this.#ways[0], image, format, PATIENCE_MS);
    }

    /**
     * Free a picture's pixels now: 33 MB at 4K, which the garbage collector sees as a few bytes.
     *
     * @param {Picture} picture
     */
    close(picture) {
        picture.close();
        this.#counts.closed += 1;
        this.#onCount(this.#counts);
    }

    /**
     * Choose for each format the first way that decodes a sample of it, and tell which formats there are, for the
     * `ready` message. JPEG is always told: without it there would be nothing to show.
     */
    async formats() {
        const found = await Promise.all(SAMPLES.map((sample) => this.#choose(sample)));
        return SAMPLES.filter(({ format }, index) => found[index] || format === 'jpeg').map(({ format }) => format);
    }

    /**
     * Whether there is a way to decode this format; known once `formats` has been asked.
     *
     * @param {string} format
     */
    canDecode(format) {
        return this.#chosen.has(format);
    }

    /**
     * @param {import('./samples.js').Sample} sample
     * @returns {Promise<boolean>} Whether there is a way.
     */
    async #choose(sample) {
        for (const way of this.#ways) {
            // In turn, since the first one will do almost everywhere.
            if (await this.#works(way, sample)) {
                this.#chosen.set(sample.format, way);
                return true;
            }
        }
        return false;
    }

    /**
     * @param {Way} way
     * @param {import('./samples.js').Sample} sample
     */
    async #works(way, { format, base64, width, height }) {
        const image = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
        try {
            const picture = await this.#decodeBy(way, image, format, SAMPLE_PATIENCE_MS);
            const isRight = picture.width === width && picture.height === height;
            this.close(picture);
            return isRight;
        } catch {
            // Told by what is missing from the list of formats.
            return false;
        }
    }

    /**
     * @param {Way} way
     * @param {Uint8Array<ArrayBuffer>} image
     * @param {string} format
     * @param {number} patienceMs What comes after that is closed.
     * @returns {Promise<Picture>}
     */
    #decodeBy(way, image, format, patienceMs) {
        const blob = new Blob([image], { type: `image/${format}` });
        return new Promise((resolve, reject) => {
            let isGivenUp = false;
            const timer = this.#environment.setTimer(() => {
                isGivenUp = true;
                reject(new Error(`the image is not decoded after ${patienceMs} ms`));
            }, patienceMs);
            const take = (/** @type {Picture} */ picture) => {
                this.#environment.clearTimer(timer);
                this.#counts.created += 1;
                this.#onCount(this.#counts);
                if (isGivenUp) {
                    this.close(picture);
                } else {
                    resolve(picture);
                }
            };
            const fail = (/** @type {unknown} */ error) => {
                this.#environment.clearTimer(timer);
                reject(error);
            };
            way.decode(blob).then(take, fail);
        });
    }
}
