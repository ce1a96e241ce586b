/** Encoded images to bitmaps, every one of them counted: a bitmap that nobody closes is a leak. */

/** @typedef {{ created: number, closed: number }} BitmapCounts */

// One lossy WebP pixel, made with Pillow.
const WEBP_PIXEL = 'UklGRiQAAABXRUJQVlA4IBgAAABQAQCdASoBAAEADMDOJaQABHQAAAAAAAA=';

export class Decoder {
    #environment;
    #onCount;
    /** @type {BitmapCounts} */
    #counts = { created: 0, closed: 0 };

    /**
     * @param {import('../stream/environment.js').Environment} environment
     * @param {(counts: Readonly<BitmapCounts>) => void} [onCount] Called at every change.
     */
    constructor(environment, onCount = () => {}) {
        this.#environment = environment;
        this.#onCount = onCount;
    }

    /**
     * Decode an image, away from the main thread where the browser can.
     *
     * @param {Uint8Array<ArrayBuffer>} image
     * @param {string} format `jpeg`, `webp` or `png`.
     * @returns {Promise<ImageBitmap>} To be given to `close` once.
     * @throws {DOMException} If the image is corrupt, or the format unknown here.
     */
    async decode(image, format) {
        const blob = new Blob([image], { type: `image/${format}` });
        const bitmap = await this.#environment.createImageBitmap(blob);
        this.#counts.created += 1;
        this.#onCount(this.#counts);
        return bitmap;
    }

    /**
     * Free a bitmap's pixels now: 33 MB at 4K, which the garbage collector sees as a few bytes.
     *
     * @param {ImageBitmap} bitmap
     */
    close(bitmap) {
        bitmap.close();
        this.#counts.closed += 1;
        this.#onCount(this.#counts);
    }

    /** Find out by trying which formats this browser decodes, for the `ready` message. */
    async formats() {
        const formats = ['jpeg', 'png'];
        try {
            const bytes = Uint8Array.from(atob(WEBP_PIXEL), (character) => character.charCodeAt(0));
            this.close(await this.decode(bytes, 'webp'));
            formats.push('webp');
        } catch {
            // Told by what is missing from the list.
        }
        return formats;
    }
}
