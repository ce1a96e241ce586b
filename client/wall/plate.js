/** Where on a tile the captions and the dot lie: on the picture, wherever in its place that is. Pure geometry. */

import { contain } from '../paint/geometry.js';
import { intersection } from './layout.js';

/** @typedef {import('../stream/wire.js').Size} Size */
/** @typedef {import('../paint/geometry.js').Rectangle} Rectangle */
/** @typedef {import('./wall.js').TilePlace} TilePlace */

/**
 * Where a picture of some shape will lie on the canvas, or what of it will be seen there.
 *
 * @param {Size} picture
 * @param {TilePlace} place
 * @param {import('../paint/geometry.js').Fit} fit
 * @returns {Rectangle} In device pixels of the canvas.
 */
export function expectedBox(picture, { whole, shown }, fit) {
    const { width, height } = fit === 'cover' ? whole : contain(picture, whole);
    const x = whole.x - shown.x + Math.floor((whole.width - width) / 2);
    const y = whole.y - shown.y + Math.floor((whole.height - height) / 2);
    return { x, y, width, height };
}

/**
 * What can be seen of a picture on the whole wall, so that several screens that show one picture show one caption.
 *
 * @param {Rectangle} box Of the picture on the canvas; it may reach beyond it.
 * @param {TilePlace} place
 * @returns {Rectangle} In device pixels of the canvas.
 */
export function seenOf(box, { whole, shown }) {
    return intersection(box, { ...whole, x: whole.x - shown.x, y: whole.y - shown.y });
}

/**
 * Tell whether a tile hangs as it did.
 *
 * @param {TilePlace | null} one
 * @param {TilePlace} other
 */
export function isSamePlace(one, other) {
    return (
        one !== null
        && one.pixelRatio === other.pixelRatio
        && isSame(one.whole, other.whole)
        && isSame(one.shown, other.shown)
    );
}

/**
 * @param {Rectangle} one
 * @param {Rectangle} other
 */
function isSame(one, other) {
    return one.x === other.x && one.y === other.y && one.width === other.width && one.height === other.height;
}
