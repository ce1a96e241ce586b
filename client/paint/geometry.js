/**
 * How large a picture is in its place: pure geometry in device pixels, which knows no page.
 *
 * All sides are whole device pixels: a picture that ends between two of them is blurred.
 */

/** @typedef {import('../stream/wire.js').Size} Size */

/**
 * @typedef {object} Rectangle
 * @property {number} x
 * @property {number} y
 * @property {number} width
 * @property {number} height
 */

/** @typedef {'contain' | 'cover'} Fit All of the picture, or nothing but the picture. */

// Scaled renditions round their sides: within this, a picture fills its place and nobody can tell.
const ASPECT_TOLERANCE = 0.005;

// One pixel of a picture fifty pixels wide: a smaller one says too little of its shape.
const MAX_ROUNDING = 0.02;

// Even pixels are worth this much of the place's sides, and no more: a small picture in a large place is no show.
const EVEN_SHARE = 0.7;

/**
 * The largest size of a picture's aspect ratio within a place.
 *
 * @param {Size} picture
 * @param {Size} place
 * @returns {Size}
 */
export function contain(picture, place) {
    const aspect = picture.width / picture.height;
    if (hasAspectOf(place, aspect)) {
        return { width: place.width, height: place.height };
    }
    return {
        width: Math.max(1, Math.min(place.width, Math.round(place.height * aspect))),
        height: Math.max(1, Math.min(place.height, Math.round(place.width / aspect))),
    };
}

/**
 * The smallest size of a picture's aspect ratio around a place.
 *
 * @param {Size} picture
 * @param {Size} place
 * @returns {Size}
 */
export function cover(picture, place) {
    const aspect = picture.width / picture.height;
    if (hasAspectOf(place, aspect)) {
        return { width: place.width, height: place.height };
    }
    return {
        width: Math.max(place.width, Math.round(place.height * aspect)),
        height: Math.max(place.height, Math.round(place.width / aspect)),
    };
}

/**
 * The size whose pixels are all alike, a whole number of device pixels wide, where it is near to the one that
 * fits; null where it is not, and where the picture has more pixels than the place.
 *
 * @param {Size} picture
 * @param {Size} place
 * @param {Fit} fit
 * @returns {Size | null}
 */
export function even(picture, place, fit) {
    const scales = [place.width / picture.width, place.height / picture.height];
    const scale = fit === 'cover' ? Math.max(...scales) : Math.min(...scales);
    const whole = fit === 'cover' ? Math.ceil(scale) : Math.floor(scale);
    if (scale < 1 || Math.min(whole / scale, scale / whole) < EVEN_SHARE) {
        return null;
    }
    return { width: picture.width * whole, height: picture.height * whole };
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
 * @param {Size} place
 * @param {number} aspect
 */
function hasAspectOf(place, aspect) {
    return Math.abs(aspect / (place.width / place.height) - 1) < ASPECT_TOLERANCE;
}
