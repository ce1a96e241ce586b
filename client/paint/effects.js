/**
 * What a canvas shows between two pictures: each effect mixes two layers that hold them. It knows no time.
 *
 * Effects lie on the whole place, not on the part of it that a canvas shows: screens that show one picture
 * together change together. No effect touches single pixels from JavaScript, beyond a small tile.
 */

import { put } from './layers.js';

/** @typedef {import('./surface.js').Context} Context */

/**
 * @typedef {object} Scene
 * @property {Context} context Of the canvas, which shows the old picture.
 * @property {Context} from The old picture, of the same size; an effect may use it up.
 * @property {Context} to The new picture.
 * @property {import('./surface.js').Hanging} hanging
 * @property {boolean} isTransparent Whether what is behind the canvas may shine through.
 * @property {(width: number, height: number) => Context | null} makeLayer For an effect's own use;
 *     freed when the transition is over.
 */

/** @typedef {(amount: number) => void} Draw Shows so much of the new picture; never less than the time before. */
/** @typedef {(scene: Scene) => Draw} Effect Makes ready for one transition. */

// The soft edge of a wipe, as a share of the place's width, and how many steps it has at most.
const EDGE = 0.08;
const EDGE_STEPS = 48;

// A dissolve's tile in cells: too large for anybody to see that it repeats, and filled in 20 µs.
const TILE = 128;

// How many cells are as high as the place: fine enough for a picture, and coarse enough to be seen at 4K.
const CELLS = 360;

/**
 * By their names in the protocol.
 *
 * @type {Map<string, Effect>}
 */
export const EFFECTS = new Map([
    ['cross-fade', crossFade],
    ['dissolve', dissolve],
    ['wipe', wipe],
]);

/** @type {Effect} */
function crossFade(scene) {
    return (amount) => blend(scene, 0, scene.hanging.view.width, amount);
}

/**
 * From left to right, with a soft edge. Only what has changed since the last step is drawn.
 *
 * @type {Effect}
 */
function wipe(scene) {
    const { place, view } = scene.hanging;
    const edge = Math.max(1, Math.round(EDGE * place.width));
    const steps = Math.min(edge, EDGE_STEPS);
    const within = (/** @type {number} */ x) => Math.min(view.width, Math.max(0, Math.round(x - view.x)));
    let done = 0;
    return (amount) => {
        const front = amount * (place.width + edge);
        const back = within(front - edge);
        blend(scene, done, back - done, 1);
        for (let step = 0; step < steps; step += 1) {
            const left = within(front - edge * (1 - step / steps));
            const right = within(front - edge * (1 - (step + 1) / steps));
            blend(scene, left, right - left, 1 - (step + 0.5) / steps);
        }
        done = back;
    };
}

/**
 * Cell by cell, in a random order that is the same everywhere.
 *
 * @type {Effect}
 */
function dissolve(scene) {
    const { context, from, to, isTransparent, hanging } = scene;
    const tile = scene.makeLayer(TILE, TILE);
    if (tile === null) {
        return crossFade(scene);
    }
    const cell = Math.max(1, Math.round(hanging.place.height / CELLS));
    return (amount) => {
        fillTile(tile, (threshold) => threshold < amount);
        erase(from, tile, cell, hanging.view);
        put(to, context);
        if (isTransparent) {
            fillTile(tile, (threshold) => threshold >= amount);
            erase(context, tile, cell, hanging.view);
        }
        put(from, context, 'source-over');
    };
}

/**
 * Mix the two pictures within a strip of the canvas.
 *
 * @param {Scene} scene
 * @param {number} x
 * @param {number} width Nothing is drawn where there is none.
 * @param {number} amount Of the new picture.
 */
function blend({ context, from, to, hanging, isTransparent }, x, width, amount) {
    const { height } = hanging.view;
    if (width <= 0) {
        return;
    }
    const strip = (/** @type {Context} */ { canvas }) =>
        context.drawImage(canvas, x, 0, width, height, x, 0, width, height);
    context.save();
    context.imageSmoothingEnabled = false;
    if (isTransparent) {
        // Both add up: neither hides anything of the other.
        context.clearRect(x, 0, width, height);
        context.globalAlpha = 1 - amount;
        strip(from);
        context.globalCompositeOperation = 'lighter';
    } else if (amount < 1) {
        strip(from);
    }
    context.globalAlpha = amount;
    strip(to);
    context.restore();
}

/**
 * Make transparent what the tile covers, repeated over the whole place.
 *
 * @param {Context} context
 * @param {Context} tile
 * @param {number} cell How many pixels wide a pixel of the tile becomes.
 * @param {import('./geometry.js').Rectangle} view
 */
function erase(context, tile, cell, view) {
    context.save();
    context.imageSmoothingEnabled = false;
    context.globalCompositeOperation = 'destination-out';
    context.translate(-view.x, -view.y);
    context.scale(cell, cell);
    context.fillStyle = /** @type {CanvasPattern} */ (context.createPattern(tile.canvas, 'repeat'));
    context.fillRect(view.x / cell, view.y / cell, view.width / cell, view.height / cell);
    context.restore();
}

/**
 * @param {Context} tile
 * @param {(threshold: number) => boolean} isCovered
 */
function fillTile(tile, isCovered) {
    const pixels = tile.createImageData(TILE, TILE);
    thresholds().forEach((threshold, index) => {
        pixels.data[4 * index + 3] = isCovered(threshold) ? 255 : 0;
    });
    tile.putImageData(pixels, 0, 0);
}

/** @type {Float32Array | null} */
let known = null;

/** At which amount each cell of the tile turns: all different, from 0 to 1, in no order. */
function thresholds() {
    if (known === null) {
        const count = TILE * TILE;
        known = Float32Array.from({ length: count }, (_, index) => index / count);
        // Not at random: all screens of one picture have to agree. A generator of Knuth's; then Fisher and Yates.
        let state = 1;
        for (let last = count - 1; last > 0; last -= 1) {
            state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
            const other = Math.floor((state / 2 ** 32) * (last + 1));
            [known[last], known[other]] = [known[other], known[last]];
        }
    }
    return known;
}
