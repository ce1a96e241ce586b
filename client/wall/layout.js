/**
 * Where pictures hang: pure geometry in device pixels, which knows no page.
 *
 * All edges are whole device pixels: a picture that lies between two of them is blurred.
 */

/** @typedef {import('../stream/wire.js').Size} Size */

/**
 * @typedef {object} Rectangle
 * @property {number} x
 * @property {number} y
 * @property {number} width
 * @property {number} height
 */

// Scaled renditions round their sides: within this, a picture fills its place and nobody can tell.
const ASPECT_TOLERANCE = 0.005;

// One pixel of a picture fifty pixels wide: a smaller one says too little of its shape.
const MAX_ROUNDING = 0.02;

/**
 * The largest size of a picture's aspect ratio within a place.
 *
 * @param {Size} picture
 * @param {Size} place
 * @returns {Size}
 */
export function contain(picture, place) {
    const aspect = picture.width / picture.height;
    if (Math.abs(aspect / (place.width / place.height) - 1) < ASPECT_TOLERANCE) {
        return { width: place.width, height: place.height };
    }
    return {
        width: Math.max(1, Math.min(place.width, Math.round(place.height * aspect))),
        height: Math.max(1, Math.min(place.height, Math.round(place.width / aspect))),
    };
}

/**
 * Tell whether two pictures have one shape, as renditions of one picture have: their sides are rounded, and
 * hanging each one anew would ask the server for another size.
 *
 * @param {Size} one
 * @param {Size} other
 */
export function isSameShape(one, other) {
    const difference = Math.abs(one.width * other.height - other.width * one.height);
    const roundingPx = Math.max(one.width, one.height, other.width, other.height);
    return difference <= Math.min(roundingPx, MAX_ROUNDING * other.width * one.height);
}

/**
 * Hang pictures in the grid that shows the greatest total area of them.
 *
 * Every picture gets a cell of the same size; rows and pictures then move together, so that one gap
 * parts them all, and the whole is centred.
 *
 * @param {Size[]} pictures Their sizes; only the aspect ratios matter.
 * @param {Size} wall
 * @param {number} gap Between neighbours.
 * @returns {Rectangle[]} One per picture, in their order; without an area where the wall has none.
 */
export function hang(pictures, wall, gap) {
    if (wall.width <= 0 || wall.height <= 0) {
        return pictures.map(() => ({ x: 0, y: 0, width: 0, height: 0 }));
    }
    let best = { area: -1, rows: /** @type {Size[][]} */ ([]) };
    for (let columns = 1; columns <= pictures.length; columns += 1) {
        const rowCount = Math.ceil(pictures.length / columns);
        const cell = {
            width: Math.max(1, Math.floor((wall.width - gap * (columns - 1)) / columns)),
            height: Math.max(1, Math.floor((wall.height - gap * (rowCount - 1)) / rowCount)),
        };
        const sizes = pictures.map((picture) => contain(picture, cell));
        const area = sizes.reduce((sum, { width, height }) => sum + width * height, 0);
        if (area > best.area) {
            best = { area, rows: intoRows(sizes, rowCount) };
        }
    }
    return arrange(best.rows, wall, gap);
}

/**
 * Share items out over rows as evenly as can be, the fuller rows first.
 *
 * @param {Size[]} items
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
