/**
 * What pictures are drawn on: a 2D canvas of this thread, hung in a place of which it shows a part.
 * It knows no page and no network.
 */

/** @typedef {import('../stream/wire.js').Size} Size */
/** @typedef {import('../wall/layout.js').Rectangle} Rectangle */

/**
 * @typedef {object} Hanging Where a picture goes, in device pixels.
 * @property {Size} place Of the whole picture, which may lie on several screens.
 * @property {Rectangle} view The part of the place that the canvas shows: all of it on a single screen.
 */

/**
 * @typedef {object} SurfaceOptions
 * @property {'contain' | 'cover'} fit
 * @property {string | null} background Beside the picture, as CSS has it; null: nothing, what is behind shines through.
 * @property {boolean} isSmooth False: hard edges between the pixels of a picture that is enlarged.
 */

/** @type {SurfaceOptions} */
export const PLAIN = { fit: 'contain', background: '#050507', isSmooth: true };

/** The size of a picture within a place, or around it. */
export function fitted(/** @type {Size} */ picture, /** @type {Size} */ place, /** @type {string} */ fit) {
    const scales = [place.width / picture.width, place.height / picture.height];
    const scale = fit === 'cover' ? Math.max(...scales) : Math.min(...scales);
    return {
        width: Math.max(1, Math.round(picture.width * scale)),
        height: Math.max(1, Math.round(picture.height * scale)),
    };
}

export class Surface {
    #canvas;
    #context;
    #options;
    /** @type {Hanging} */
    #hanging = { place: { width: 1, height: 1 }, view: { x: 0, y: 0, width: 1, height: 1 } };

    /**
     * @param {HTMLCanvasElement | OffscreenCanvas} canvas
     * @param {SurfaceOptions} options
     */
    constructor(canvas, options) {
        this.#canvas = canvas;
        this.#options = options;
        this.#context = /** @type {CanvasRenderingContext2D} */ (
            canvas.getContext('2d', { alpha: options.background === null })
        );
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
        const { width, height } = fitted(picture, place, this.#options.fit);
        const x = Math.floor((place.width - width) / 2) - view.x;
        const y = Math.floor((place.height - height) / 2) - view.y;
        return { x, y, width, height };
    }

    /** @param {ImageBitmap} bitmap */
    draw(bitmap) {
        const { width, height } = this.#hanging.view;
        if (this.#canvas.width !== width || this.#canvas.height !== height) {
            // Setting either one clears the canvas and its settings: only here, where it is drawn anew.
            this.#canvas.width = width;
            this.#canvas.height = height;
        }
        const box = this.boxOf(bitmap);
        this.#clear(box);
        this.#context.imageSmoothingEnabled = this.#options.isSmooth;
        this.#context.imageSmoothingQuality = 'high';
        this.#context.drawImage(bitmap, box.x, box.y, box.width, box.height);
    }

    /** @param {Rectangle} box */
    #clear({ x, y, width, height }) {
        const canvas = this.#canvas;
        if (x <= 0 && y <= 0 && x + width >= canvas.width && y + height >= canvas.height) {
            return;
        }
        if (this.#options.background === null) {
            this.#context.clearRect(0, 0, canvas.width, canvas.height);
        } else {
            this.#context.fillStyle = this.#options.background;
            this.#context.fillRect(0, 0, canvas.width, canvas.height);
        }
    }
}
