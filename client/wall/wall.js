/**
 * Which tiles hang on the wall, and where. It knows neither the page nor the network: both are
 * behind the tiles it is given.
 *
 * A wall may be larger than this screen, which then shows one of several equal parts of it.
 */

import { browser, reportLater } from '../stream/environment.js';
import { fill, hang, intersection } from './layout.js';

/** @typedef {import('../stream/wire.js').CanvasRecord} CanvasRecord */
/** @typedef {import('../stream/wire.js').Size} Size */
/** @typedef {import('../paint/geometry.js').Rectangle} Rectangle */

/**
 * @typedef {object} TilePlace Where a tile hangs, in device pixels from this screen's upper left corner.
 * @property {Rectangle} whole Of the picture: it may reach beyond this screen.
 * @property {Rectangle} shown The part of it that lies on this screen; without an area where none does.
 * @property {number} pixelRatio Device pixels per CSS pixel.
 * @property {boolean} isGliding It is another tile that came or went: this one moves there calmly.
 */

/**
 * @typedef {object} WallTile
 * @property {string} slug
 * @property {Size} shape
 * @property {boolean} isPainted Whether there is something to see of it.
 * @property {boolean} isEnded
 * @property {string | null} epoch
 * @property {(shape: Size) => void} expect Told before the tile's own connection knows.
 * @property {() => void} reopen
 * @property {(place: TilePlace) => void} hang
 * @property {(isVisible: boolean) => void} setVisible
 * @property {() => void} close
 */

/**
 * @template {WallTile} AnyTile
 * @typedef {(slug: string, shape: Size | null) => AnyTile} MakeTile
 */

/**
 * @typedef {object} WallOptions
 * @property {string[] | null} selection The slugs to show; null: every lasting canvas.
 * @property {'contain' | 'cover'} fit
 * @property {import('../page/options.js').Screenful | null} screen Which part of it this screen shows; null: all.
 */

// A line of wall between neighbours, as a share of the shorter side of a screen.
const GAP = 0.01;

/** @template {WallTile} AnyTile */
export class Wall {
    #options;
    #makeTile;
    #onCount;
    #onFailure;
    /** @type {Map<string, AnyTile>} In the order in which they hang. */
    #tiles = new Map();
    /** @type {Size} Of this screen. */
    #size = { width: 1, height: 1 };
    #pixelRatio = 1;

    /**
     * @param {WallOptions} options
     * @param {MakeTile<AnyTile>} makeTile
     * @param {(count: number) => void} onCount Called when the number of tiles may have changed.
     * @param {(error: unknown) => void} [onFailure] A tile could not be made: the others hang without it, and the next
     *     list is another chance.
     */
    constructor(options, makeTile, onCount, onFailure = (error) => reportLater(browser, error)) {
        this.#options = options;
        this.#makeTile = makeTile;
        this.#onCount = onCount;
        this.#onFailure = onFailure;
        if (options.selection !== null) {
            this.#keep(options.selection, new Map());
        }
    }

    /** The tiles in the order in which they hang. */
    get tiles() {
        return [...this.#tiles.values()];
    }

    /**
     * Follow the server's list of canvases.
     *
     * @param {CanvasRecord[]} canvases
     */
    update(canvases) {
        const listed = new Map(canvases.map((canvas) => [canvas.slug, canvas]));
        const lasting = canvases.filter((canvas) => canvas.temporary !== true);
        this.#keep(this.#options.selection ?? lasting.map((canvas) => canvas.slug), listed);
        for (const tile of this.#tiles.values()) {
            const canvas = listed.get(tile.slug);
            if (canvas !== undefined) {
                tile.expect(canvas);
            }
            // A list from just before the end still names the canvas that ended; it must not be made again.
            if (tile.isEnded && canvas && canvas.epoch !== tile.epoch) {
                tile.reopen();
            }
        }
        this.arrange();
    }

    /**
     * @param {Size} size Of this screen, in device pixels.
     * @param {number} pixelRatio Device pixels per CSS pixel.
     */
    resize(size, pixelRatio) {
        this.#size = size;
        this.#pixelRatio = pixelRatio;
        this.#hang(false);
    }

    /** @param {boolean} isVisible */
    setVisible(isVisible) {
        for (const tile of this.#tiles.values()) {
            tile.setVisible(isVisible);
        }
    }

    /** Hang the tiles anew: their number or their shapes have changed. */
    arrange() {
        // Where one comes, the others make room; where most are still to come there is nothing to be calm about.
        this.#hang(this.tiles.filter(({ isPainted }) => !isPainted).length <= 1);
    }

    /** @param {boolean} isGliding */
    #hang(isGliding) {
        const { fit, screen } = this.#options;
        const { columns, rows, column, row } = screen ?? { columns: 1, rows: 1, column: 0, row: 0 };
        const { width, height } = this.#size;
        const gap = Math.round(Math.min(width, height) * GAP);
        const tiles = this.tiles;
        const lay = fit === 'cover' ? fill : hang;
        const places = lay(
            tiles.map((tile) => tile.shape),
            { width: width * columns, height: height * rows },
            gap,
        );
        tiles.forEach((tile, index) => {
            const { x, y, ...size } = places[index];
            const whole = { x: x - column * width, y: y - row * height, ...size };
            const shown = intersection(whole, { x: 0, y: 0, width, height });
            tile.hang({ whole, shown, pixelRatio: this.#pixelRatio, isGliding });
        });
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
        this.#tiles = new Map();
        for (const slug of slugs) {
            const tile = kept.get(slug) ?? this.#make(slug, listed.get(slug) ?? null);
            if (tile !== null) {
                this.#tiles.set(slug, tile);
            }
        }
        this.#onCount(slugs.length);
    }

    /**
     * @param {string} slug
     * @param {Size | null} shape
     */
    #make(slug, shape) {
        try {
            return this.#makeTile(slug, shape);
        } catch (error) {
            this.#onFailure(error);
            return null;
        }
    }
}
