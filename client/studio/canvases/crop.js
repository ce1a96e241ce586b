/** Which part of a picture a rectangle on the screen is, behind all that was done to the picture. Pure geometry. */

import { LEAST_SHARE, WHOLE, tidy } from './settings.js';

/** @typedef {import('./settings.js').Crop} Crop */
/** @typedef {{ x: number, y: number }} Point */

/**
 * The rectangle between two points of a drag, within the picture that is shown.
 *
 * @param {Point} start In the same unit as the box.
 * @param {Point} end
 * @param {import('../../wall/layout.js').Rectangle} box Where the picture lies.
 * @returns {Crop | null} In shares of the picture; null where it is too small to be meant.
 */
export function dragged(start, end, box) {
    const share = (/** @type {number} */ at, /** @type {number} */ from, /** @type {number} */ length) =>
        Math.min(1, Math.max(0, (at - from) / length));
    const [x1, x2] = [start.x, end.x].map((at) => share(at, box.x, box.width)).sort((a, b) => a - b);
    const [y1, y2] = [start.y, end.y].map((at) => share(at, box.y, box.height)).sort((a, b) => a - b);
    const crop = { x: x1, y: y1, width: x2 - x1, height: y2 - y1 };
    return crop.width < LEAST_SHARE || crop.height < LEAST_SHARE ? null : crop;
}

/**
 * What to cut out of the pictures as they come, so that of what is shown now this part is left.
 *
 * @param {Crop} part Of the picture as it is shown: cut, turned and mirrored.
 * @param {{ crop?: Crop | null, rotate?: number, mirror?: string }} processing What is done to it.
 * @returns {Crop | null} Null: the whole picture.
 */
export function cropBehind(part, { crop, rotate = 0, mirror = 'none' }) {
    const { x, y, width, height } = part;
    const corners = [{ x, y }, { x: x + width, y: y + height }].map((corner) =>
        turnedBack(mirroredBack(corner, mirror), rotate));
    const left = Math.min(corners[0].x, corners[1].x);
    const top = Math.min(corners[0].y, corners[1].y);
    const outer = crop ?? WHOLE;
    return tidy({
        x: outer.x + left * outer.width,
        y: outer.y + top * outer.height,
        width: Math.max(LEAST_SHARE, Math.abs(corners[1].x - corners[0].x) * outer.width),
        height: Math.max(LEAST_SHARE, Math.abs(corners[1].y - corners[0].y) * outer.height),
    });
}

/**
 * @param {Point} point
 * @param {string} mirror
 */
function mirroredBack({ x, y }, mirror) {
    return {
        x: mirror === 'horizontal' || mirror === 'both' ? 1 - x : x,
        y: mirror === 'vertical' || mirror === 'both' ? 1 - y : y,
    };
}

/**
 * @param {Point} point
 * @param {number} degrees How far the picture was turned clockwise.
 */
function turnedBack({ x, y }, degrees) {
    switch (degrees) {
        case 90:
            return { x: y, y: 1 - x };
        case 180:
            return { x: 1 - x, y: 1 - y };
        case 270:
            return { x: 1 - y, y: x };
        default:
            return { x, y };
    }
}
