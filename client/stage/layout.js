/** Where the picture lies on the stage: pure geometry, which knows no page. */

/** @typedef {import('../stream/wire.js').Size} Size */

// Pictures of one shape for so long have come to stay; until then the HUD beside them must not dance.
const STEADY_MS = 3000;

// Scaled renditions round their sides: within this, two shapes are one.
const SAME = 0.02;

/**
 * The largest part of a place that begins and ends on whole device pixels: a canvas that lies between
 * two of them is drawn soft, however hard its own edges are.
 *
 * @param {{ left: number, top: number, right: number, bottom: number }} place In CSS pixels, from the window's corner.
 * @param {number} ratio Device pixels per CSS pixel.
 * @returns {{ left: number, top: number, width: number, height: number }} In device pixels; at least one each way.
 */
export function snapped(place, ratio) {
    // A hair within a pixel's edge is that edge: the numbers come from divisions.
    const hair = 1 / 64;
    const left = Math.ceil(place.left * ratio - hair);
    const top = Math.ceil(place.top * ratio - hair);
    return {
        left,
        top,
        width: Math.max(1, Math.floor(place.right * ratio + hair) - left),
        height: Math.max(1, Math.floor(place.bottom * ratio + hair) - top),
    };
}

/**
 * The shape that the picture's place is made for: the canvas's own until a picture has come, the first
 * picture's at once, and another one only when it stays.
 */
export class Shape {
    /** @type {number | null} */
    #aspect = null;
    #isSeen = false;
    #environment;
    #onAspect;
    /** @type {any} */
    #timer = null;

    /**
     * @param {import('../stream/environment.js').Environment} environment
     * @param {(aspect: number) => void} onAspect Width by height, whenever it is another one.
     */
    constructor(environment, onAspect) {
        this.#environment = environment;
        this.#onAspect = onAspect;
    }

    /**
     * What the canvas says of itself.
     *
     * @param {Size} size
     */
    expect(size) {
        if (!this.#isSeen) {
            this.#set(size);
        }
    }

    /**
     * What a picture is like.
     *
     * @param {Size} size
     */
    see(size) {
        this.#environment.clearTimer(this.#timer);
        if (!this.#isSeen) {
            this.#isSeen = true;
            this.#set(size);
        } else if (!this.#isLike(size)) {
            this.#timer = this.#environment.setTimer(() => this.#set(size), STEADY_MS);
        }
    }

    /** @param {Size} size */
    #set(size) {
        if (!this.#isLike(size)) {
            this.#aspect = size.width / size.height;
            this.#onAspect(this.#aspect);
        }
    }

    /** @param {Size} size */
    #isLike({ width, height }) {
        return this.#aspect !== null && Math.abs(width / height / this.#aspect - 1) < SAME;
    }
}
