/**
 * Where pictures hang: pure geometry in device pixels, which knows no page.
 *
 * All edges are whole device pixels: a picture that lies between two of them is blurred.
 */

import { contain, isSameShape } from '../paint/geometry.js';

/** @typedef {import('../stream/wire.js').Size} Size */
/** @typedef {import('../paint/geometry.js').Rectangle} Rectangle */

// What an area is worth in a grid whose rows are not all full: nine squares hang three by three on a wide wall.
const RAGGED_WORTH = 0.85;

/**
 * The part that two rectangles share; without an area where they lie apart.
 *
 * @param {Rectangle} one
 * @param {Rectangle} other
 * @returns {Rectangle}
 */
export function intersection(one, other) {
    const x = Math.max(one.x, other.x);
    const y = Math.max(one.y, other.y);
    return {
        x,
        y,
        width: Math.max(0, Math.min(one.x + one.width, other.x + other.width) - x),
        height: Math.max(0, Math.min(one.y + one.height, other.y + other.height) - y),
    };
}

/** @param {Size} size */
export function hasArea({ width, height }) {
    return width > 0 && height > 0;
}

/**
 * Hang pictures in whole, so that the greatest total area of them is shown, in their order, row by row; the whole is
 * centred, and one gap parts all neighbours.
 *
 * Pictures of one shape hang in a grid, others in rows of one height, as in a gallery.
 *
 * @param {Size[]} pictures Their sizes; only the aspect ratios matter.
 * @param {Size} wall
 * @param {number} gap Between neighbours.
 * @returns {Rectangle[]} One per picture, in their order; without an area where the wall has none.
 */
export function hang(pictures, wall, gap) {
    if (!hasArea(wall)) {
        return pictures.map(() => ({ x: 0, y: 0, width: 0, height: 0 }));
    }
    const areMixed = pictures.some((picture) => !isSameShape(picture, pictures[0]));
    const rows = [grid(pictures, wall, gap), areMixed ? salon(pictures, wall, gap) : []];
    const [inGrid, inSalon] = rows.map((hung) => areaOf(hung.flat()));
    return arrange(inSalon >= inGrid * RAGGED_WORTH && areMixed ? rows[1] : rows[0], wall, gap);
}

/**
 * Give every picture a cell of the same size, in the grid that shows the greatest area; one whose rows are all full
 * is calmer, and may show a little less.
 *
 * @param {Size[]} pictures
 * @param {Size} wall
 * @param {number} gap
 * @returns {Size[][]} Row by row.
 */
function grid(pictures, wall, gap) {
    let best = { worth: -1, rows: /** @type {Size[][]} */ ([]) };
    for (let columns = 1; columns <= pictures.length; columns += 1) {
        const rowCount = Math.ceil(pictures.length / columns);
        const cell = {
            width: part(wall.width, columns, gap),
            height: part(wall.height, rowCount, gap),
        };
        const sizes = pictures.map((picture) => contain(picture, cell));
        const worth = areaOf(sizes) * (rowCount * columns === pictures.length ? 1 : RAGGED_WORTH);
        if (worth > best.worth) {
            best = { worth, rows: intoColumns(sizes, columns) };
        }
    }
    return best.rows;
}

/**
 * Give every picture the same height, the greatest with which the rows fit, and the rows lengths that differ little.
 *
 * @param {Size[]} pictures
 * @param {Size} wall
 * @param {number} gap
 * @returns {Size[][]} Row by row; none where the wall is too small for a pixel of each.
 */
function salon(pictures, wall, gap) {
    /** The rows of this height that are at most so long; none where one picture alone is longer. */
    const fit = (/** @type {number} */ height, /** @type {number} */ length) => {
        const sizes = pictures.map((picture) => ({
            width: Math.max(1, Math.round((height * picture.width) / picture.height)),
            height,
        }));
        return sizes.some(({ width }) => width > length) ? [] : fillRows(sizes, length, gap);
    };
    const height = greatest(wall.height, (candidate) => {
        const { length } = fit(candidate, wall.width);
        return length > 0 && length * (candidate + gap) - gap <= wall.height;
    });
    const { length: rowCount } = fit(height, wall.width);
    const shorter = greatest(wall.width, (cut) => {
        const { length } = fit(height, wall.width - cut);
        return length > 0 && length <= rowCount;
    });
    return fit(height, wall.width - shorter);
}

/**
 * The greatest whole number up to a limit for which something holds that holds for all smaller ones; 0 where it
 * holds for none.
 *
 * @param {number} limit
 * @param {(candidate: number) => boolean} isPossible
 */
function greatest(limit, isPossible) {
    let [low, high] = [0, limit];
    while (low < high) {
        const middle = Math.ceil((low + high) / 2);
        if (isPossible(middle)) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

/** @param {Size[]} sizes */
function areaOf(sizes) {
    return sizes.reduce((sum, { width, height }) => sum + width * height, 0);
}

/**
 * Fill one row after the other with items, each as full as its length allows.
 *
 * @param {Size[]} items
 * @param {number} length
 * @param {number} gap
 */
function fillRows(items, length, gap) {
    /** @type {Size[][]} */
    const rows = [];
    let taken = Infinity;
    for (const item of items) {
        if (taken + gap + item.width > length) {
            rows.push([]);
            taken = -gap;
        }
        rows[rows.length - 1].push(item);
        taken += gap + item.width;
    }
    return rows;
}

/**
 * Share the whole wall out among pictures, which are cropped to their cells, so that most of them is kept.
 *
 * @param {Size[]} pictures Their sizes; only the aspect ratios matter.
 * @param {Size} wall
 * @param {number} gap Between neighbours.
 * @returns {Rectangle[]} One per picture, in their order; without an area where the wall has none.
 */
export function fill(pictures, wall, gap) {
    if (!hasArea(wall)) {
        return pictures.map(() => ({ x: 0, y: 0, width: 0, height: 0 }));
    }
    let best = { kept: -1, cells: /** @type {Rectangle[]} */ ([]) };
    for (let rowCount = 1; rowCount <= pictures.length; rowCount += 1) {
        const cells = shareOut(intoRows(pictures, rowCount), wall, gap);
        const kept = pictures.reduce((sum, picture, index) => sum + keptShare(picture, cells[index]), 0);
        if (kept > best.kept) {
            best = { kept, cells };
        }
    }
    return best.cells;
}

/**
 * How much of a picture is left when it is cropped to a cell.
 *
 * @param {Size} picture
 * @param {Size} cell
 */
function keptShare(picture, cell) {
    const ratio = picture.width / picture.height / (cell.width / cell.height);
    return Math.min(ratio, 1 / ratio);
}

/**
 * Give every item of the rows a cell, so that the cells and the gaps are all of the wall.
 *
 * @param {Size[][]} rows
 * @param {Size} wall
 * @param {number} gap
 */
function shareOut(rows, wall, gap) {
    return rows.flatMap((row, index) => {
        const [y, bottom] = edges(wall.height, rows.length, gap, index);
        return row.map((_, column) => {
            const [x, right] = edges(wall.width, row.length, gap, column);
            return { x, y, width: right - x, height: bottom - y };
        });
    });
}

/**
 * Where one of several equal parts of a length begins and ends: on whole pixels, and with the last one at the end.
 *
 * @param {number} length
 * @param {number} count
 * @param {number} gap
 * @param {number} index
 */
function edges(length, count, gap, index) {
    const step = (length + gap) / count;
    const start = Math.round(step * index);
    return [start, Math.max(start + 1, Math.round(step * (index + 1)) - gap)];
}

/**
 * The largest whole length that goes so many times into another one, with gaps between.
 *
 * @param {number} length
 * @param {number} count
 * @param {number} gap
 */
function part(length, count, gap) {
    return Math.max(1, Math.floor((length - gap * (count - 1)) / count));
}

/**
 * Put items into rows of so many: all full but the last where its items then hang below others, as evenly as can be
 * where they would hang between them.
 *
 * @template Item
 * @param {Item[]} items
 * @param {number} columns
 */
function intoColumns(items, columns) {
    const rowCount = Math.ceil(items.length / columns);
    const isAligned = (rowCount * columns - items.length) % 2 === 0;
    return isAligned
        ? Array.from({ length: rowCount }, (_, row) => items.slice(row * columns, (row + 1) * columns))
        : intoRows(items, rowCount);
}

/**
 * Share items out over rows as evenly as can be, the fuller rows first.
 *
 * @template Item
 * @param {Item[]} items
 * @param {number} rowCount
 */
function intoRows(items, rowCount) {
    const rows = [];
    let taken = 0;
    for (let row = 0; row < rowCount; row += 1) {
        const count = Math.ceil((items.length - taken) / (rowCount - row));
        rows.push(items.slice(taken, taken + count));
        taken += count;
    }
    return rows;
}

/**
 * @param {Size[][]} rows
 * @param {Size} wall
 * @param {number} gap
 */
function arrange(rows, wall, gap) {
    const heights = rows.map((row) => Math.max(...row.map((item) => item.height)));
    /** @type {Rectangle[]} */
    const places = [];
    let top = Math.floor((wall.height - lengthOf(heights, gap)) / 2);
    rows.forEach((row, index) => {
        const widths = row.map((item) => item.width);
        let left = Math.floor((wall.width - lengthOf(widths, gap)) / 2);
        for (const { width, height } of row) {
            places.push({ x: left, y: top + Math.floor((heights[index] - height) / 2), width, height });
            left += width + gap;
        }
        top += heights[index] + gap;
    });
    return places;
}

/**
 * @param {number[]} lengths
 * @param {number} gap
 */
function lengthOf(lengths, gap) {
    return lengths.reduce((sum, length) => sum + length, gap * (lengths.length - 1));
}
