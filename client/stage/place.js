/** Keeps the stage's canvas on whole device pixels of its place, and tells its size. */

import { watchSize } from '../page/size.js';
import { snapped } from './layout.js';

/**
 * @param {HTMLElement} place
 * @param {HTMLCanvasElement} canvas In it.
 * @param {(size: import('../stream/wire.js').Size) => void} onSize Of the canvas, in device pixels: at once, and
 *     whenever it is another one.
 * @param {import('../page/size.js').SizeEnvironment} [environment]
 * @returns {() => void} Stops it.
 */
export function keepInPlace(place, canvas, onSize, environment) {
    let known = '';
    return watchSize(
        place,
        (size, ratio) => {
            const box = place.getBoundingClientRect();
            const { left, top, width, height } = snapped(box, ratio);
            canvas.style.left = `${left / ratio - box.left}px`;
            canvas.style.top = `${top / ratio - box.top}px`;
            canvas.style.width = `${width / ratio}px`;
            canvas.style.height = `${height / ratio}px`;
            if (known !== `${width}x${height}`) {
                known = `${width}x${height}`;
                onSize({ width, height });
            }
        },
        environment,
    );
}
