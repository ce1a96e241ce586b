/**
 * Which tiles hang on the wall, and where. It knows neither the page nor the network: both are
 * behind the tiles it is given.
 */

import { hang } from './layout.js';

/** @typedef {import('../stream/wire.js').CanvasRecord} CanvasRecord */
/** @typedef {import('../stream/wire.js').Size} Size */

/**
 * @typedef {object} WallTile
 * @property {string} slug
 * @property {Size} shape
 * @property {boolean} isEnded
 * @property {string | null} epoch
 * @property {() => void} reopen
 * @property {(place: import('./layout.js').Rectangle, pixelRatio: number) => void} hang
 * @property {(isVisible: boolean) => void} setVisible
 * @property {() => void} close
 */

// A line of wall between neighbours, as a share of the wall's shorter side.
const GAP = 0.01;

export class Wall {
    #selection;
    #makeTile;
    #onCount;
    /** @type {Map<string, WallTile>} In the order in which they hang. */
    #tiles = new Map();
    /** @type {Size} */
    #size = { width: 1, height: 1 };
    #pixelRatio = 1;

    /**
     * @param {string[] | null} selection The slugs to show; null: every lasting canvas.
     * @param {(slug: string, shape: Size | null) => WallTile} makeTile
     * @param {(count: number) => void} onCount Called when the number of tiles may have changed.
     */
    constructor(selection, makeTile, onCount) {
        this.#selection = selection;
        this.#makeTile = makeTile;
        this.#onCount = onCount;
        if (selection !== null) {
            this.#keep(selection, new Map());
        }
    }

    /**
     * Follow the server's list of canvases.
     *
     * @param {CanvasRecord[]} canvases
     */
    update(canvases) {
        const listed = new Map(canvases.map((canvas) => [canvas.slug, canvas]));
        const lasting = canvases.filter((canvas) => canvas.temporary !== true);
        this.#keep(this.#selection ?? lasting.map((canvas) => canvas.slug), listed);
        for (const tile of this.#tiles.values()) {
            // A list from just before the end still names the canvas that ended; it must not be made again.
            const canvas = listed.get(tile.slug);
            if (tile.isEnded && canvas && canvas.epoch !== tile.epoch) {
                tile.reopen();
            }
        }
        this.arrange();
    }

    /**
     * @param {Size} size In device pixels.
     * @param {number} pixelRatio Device pixels per CSS pixel.
     */
    resize(size, pixelRatio) {
        this.#size = size;
        this.#pixelRatio = pixelRatio;
        this.arrange();
    }

    /** @param {boolean} isVisible */
    setVisible(isVisible) {
        for (const tile of this.#tiles.values()) {
            tile.setVisible(isVisible);
        }
    }

    /** Hang the tiles anew: their number, their shapes or the wall have changed. */
    arrange() {
        const tiles = [...this.#tiles.values()];
        const gap = Math.round(Math.min(this.#size.width, this.#size.height) * GAP);
        const places = hang(
            tiles.map((tile) => tile.shape),
            this.#size,
            gap,
        );
        tiles.forEach((tile, index) => tile.hang(places[index], this.#pixelRatio));
    }

    /**
     * Make and remove tiles until exactly these hang, in this order.
     *
     * @param {string[]} slugs
     * @param {Map<string, CanvasRecord>} listed
     */
    #keep(slugs, listed) {
        for (const [slug, tile] of this.#tiles) {
            if (!slugs.includes(slug)) {
                tile.close();
            }
        }
        const kept = this.#tiles;
        this.#tiles = new Map(
            slugs.map((slug) => [slug, kept.get(slug) ?? this.#makeTile(slug, listed.get(slug) ?? null)]),
        );
        this.#onCount(slugs.length);
    }
}
