/**
 * What pictures are drawn on: a 2D canvas of this thread, hung in a place of which it shows a part.
 * It knows no page and no network.
 */

import { contain, cover, even } from './geometry.js';

/** @typedef {import('./geometry.js').Rectangle} Rectangle */
/** @typedef {import('../stream/wire.js').Size} Size */
/** @typedef {HTMLCanvasElement | OffscreenCanvas} Canvas */
/** @typedef {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} Context */

/**
 * @typedef {object} Hanging Where a picture goes, in device pixels.
 * @property {Size} place Of the whole picture, which may lie on several screens.
 * @property {Rectangle} view The part of the place that the canvas shows: all of it on a single screen.
 */

/**
 * @typedef {object} SurfaceOptions
 * @property {import('./geometry.js').Fit} fit
 * @property {string | null} background Beside the picture, as CSS has it; null: nothing, what is behind shines through.
 * @property {boolean} isSmooth False: hard edges between the pixels of a picture that is enlarged, all of one size
 *     where the place allows it.
 * @property {boolean} [isStill] Somebody asked for less motion: every picture replaces the one before at once.
 */

export class Surface {
    #canvas;
    #context;
    #options;
    /** @type {Hanging} */
    #hanging = { place: { width: 1, height: 1 }, view: { x: 0, y: 0, width: 1, height: 1 } };

    /**
     * @param {Canvas} canvas
     * @param {SurfaceOptions} options
     */
    constructor(canvas, options) {
        this.#canvas = canvas;
        this.#options = options;
        this.#context = /** @type {Context} */ (canvas.getContext('2d', { alpha: options.background === null }));
    }

    get canvas() {
        return this.#canvas;
    }

    get context() {
        return this.#context;
    }

    get hanging() {
        return this.#hanging;
    }

    /** Whether what is behind the canvas may shine through. */
    get isTransparent() {
        return this.#options.background === null;
    }

    /** Whether something was drawn at the size at which the canvas hangs. */
    get hasPixels() {
        return this.#isSized && this.#canvas.width > 0 && this.#canvas.height > 0;
    }

    /** @param {Hanging} hanging */
    hang(hanging) {
        this.#hanging = hanging;
    }

    /**
     * Where a picture of this shape lies on the canvas, in device pixels; it may reach beyond it.
     *
     * @param {Size} picture
     * @returns {Rectangle}
     */
    boxOf(picture) {
        const { place, view } = this.#hanging;
        const { fit, isSmooth } = this.#options;
        const fitted = fit === 'cover' ? cover(picture, place) : contain(picture, place);
        const { width, height } = (isSmooth ? null : even(picture, place, fit)) ?? fitted;
        const x = Math.floor((place.width - width) / 2) - view.x;
        const y = Math.floor((place.height - height) / 2) - view.y;
        return { x, y, width, height };
    }

    /**
     * Show a picture, and nothing else.
     *
     * @param {import('./decoders.js').Picture} picture
     * @param {boolean} [isOpaque] Whether nothing of what was there can shine through the picture itself.
     */
    draw(picture, isOpaque = false) {
        if (!this.#isSized) {
            // Setting either one clears the canvas and its settings: only here, where it is drawn anew.
            this.#canvas.width = this.#hanging.view.width;
            this.#canvas.height = this.#hanging.view.height;
        }
        this.drawOn(this.#context, picture, isOpaque);
    }

    /**
     * Draw a picture and what is beside it as it would be on the canvas, on another one of its size.
     *
     * @param {Context} context
     * @param {import('./decoders.js').Picture} picture
     * @param {boolean} [isOpaque]
     */
    drawOn(context, picture, isOpaque = false) {
        const box = this.boxOf(picture);
        if (!isOpaque || !this.#isFilledBy(box)) {
            this.#clear(context);
        }
        // What is shrunk without smoothing loses some of its pixels, not only their edges.
        context.imageSmoothingEnabled = this.#options.isSmooth || box.width < picture.width;
        context.imageSmoothingQuality = 'high';
        const source = 'source' in picture ? picture.source : picture;
        context.drawImage(source, box.x, box.y, box.width, box.height);
    }

    get #isSized() {
        const { width, height } = this.#hanging.view;
        return this.#canvas.width === width && this.#canvas.height === height;
    }

    /** @param {Context} context */
    #clear(context) {
        const { width, height } = this.#hanging.view;
        if (this.#options.background === null) {
            context.clearRect(0, 0, width, height);
        } else {
            context.fillStyle = this.#options.background;
            context.fillRect(0, 0, width, height);
        }
    }

    /** @param {Rectangle} box */
    #isFilledBy({ x, y, width, height }) {
        const { view } = this.#hanging;
        return x <= 0 && y <= 0 && x + width >= view.width && y + height >= view.height;
    }
}
