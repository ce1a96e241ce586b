/** Canvases that nobody sees, of the same kind as one that is seen: for a page's, and for a worker's. */

/** @typedef {import('./surface.js').Canvas} Canvas */
/** @typedef {import('./surface.js').Context} Context */

/**
 * Make a transparent layer.
 *
 * @param {Canvas} canvas Beside which it is used.
 * @param {number} width
 * @param {number} height
 * @returns {Context | null} Null where there is no memory for it. To be given to `free`.
 */
export function makeLayer(canvas, width, height) {
    const made = 'ownerDocument' in canvas ? canvas.ownerDocument.createElement('canvas') : alike(canvas);
    made.width = width;
    made.height = height;
    return /** @type {Context | null} */ (made.getContext('2d'));
}

/** @param {Context} layer */
export function free({ canvas }) {
    // The garbage collector sees a few bytes only.
    canvas.width = 0;
    canvas.height = 0;
}

/**
 * Put all of a layer on another one of the same size.
 *
 * @param {Context} layer
 * @param {Context} target
 * @param {GlobalCompositeOperation} [operation] Unless told otherwise nothing stays of what was there.
 */
export function put(layer, target, operation = 'copy') {
    target.save();
    target.imageSmoothingEnabled = false;
    target.globalCompositeOperation = operation;
    target.drawImage(layer.canvas, 0, 0);
    target.restore();
}

/**
 * Without its name: browsers that do not know offscreen canvases never come here.
 *
 * @param {OffscreenCanvas} canvas
 * @returns {OffscreenCanvas}
 */
function alike(canvas) {
    const Kind = /** @type {typeof OffscreenCanvas} */ (canvas.constructor);
    return new Kind(1, 1);
}
