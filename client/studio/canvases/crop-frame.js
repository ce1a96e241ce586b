/**
 * The live picture of a canvas, out of which a part is cut by dragging over it. Whoever has no mouse has the four
 * numbers beside it.
 */

import { element } from '../dom.js';
import { cropBehind, dragged } from './crop.js';
import { Thumbnail } from './thumbnail.js';

/** @typedef {import('./settings.js').Crop} Crop */

// A slider that is dragged is to be followed.
const PREVIEW_FPS = 15;

export class CropFrame {
    #onCrop;
    #view;
    #mark;
    #thumbnail;
    #closing = new AbortController();
    /** Where the picture lies in the view, CSS pixels. */
    #box = { x: 0, y: 0, width: 1, height: 1 };
    /** @type {{ x: number, y: number } | null} */
    #start = null;
    /** @type {{ crop?: Crop | null, rotate?: number, mirror?: string }} */
    #processing = {};

    /**
     * @param {string} slug
     * @param {{ texts: import('../texts.js').Texts, screens: import('../../screen/screens.js').Screens }} services
     * @param {(crop: Crop | null) => void} onCrop
     */
    constructor(slug, { texts, screens }, onCrop) {
        this.#onCrop = onCrop;
        this.#mark = element('div', { className: 'crop-mark', hidden: true });
        this.#view = element('div', { className: 'crop-view' }, this.#mark);
        const hint = element('p', { className: 'field-note' });
        texts.bind(hint, 'canvases.crop-hint');
        this.root = element('div', { className: 'crop-frame' }, this.#view, hint);
        const services = { screens, maxFps: PREVIEW_FPS, isVisible: !document.hidden };
        this.#thumbnail = new Thumbnail(this.#view, slug, services, {
            onBox: ({ x, y, width, height }, ratio) => {
                this.#box = { x: x / ratio, y: y / ratio, width: width / ratio, height: height / ratio };
            },
        });
        document.addEventListener('visibilitychange', () => this.#thumbnail.setVisible(!document.hidden), {
            signal: this.#closing.signal,
        });
        this.#view.addEventListener('pointerdown', (event) => this.#begin(event));
        this.#view.addEventListener('pointermove', (event) => this.#drag(event));
        this.#view.addEventListener('pointerup', (event) => this.#end(event));
        this.#view.addEventListener('pointercancel', () => this.#stop());
    }

    /** @param {{ crop?: Crop | null, rotate?: number, mirror?: string }} processing */
    show(processing) {
        this.#processing = processing;
    }

    close() {
        this.#closing.abort();
        this.#thumbnail.close();
    }

    /** @param {PointerEvent} event */
    #begin(event) {
        if (event.button === 0) {
            this.#view.setPointerCapture(event.pointerId);
            this.#start = this.#pointOf(event);
            event.preventDefault();
        }
    }

    /** @param {PointerEvent} event */
    #drag(event) {
        const part = this.#partUnder(event);
        this.#mark.hidden = part === null;
        if (part !== null) {
            const { x, y, width, height } = this.#box;
            this.#mark.style.left = `${x + part.x * width}px`;
            this.#mark.style.top = `${y + part.y * height}px`;
            this.#mark.style.width = `${part.width * width}px`;
            this.#mark.style.height = `${part.height * height}px`;
        }
    }

    /** @param {PointerEvent} event */
    #end(event) {
        const part = this.#partUnder(event);
        this.#stop();
        if (part !== null) {
            this.#onCrop(cropBehind(part, this.#processing));
        }
    }

    #stop() {
        this.#start = null;
        this.#mark.hidden = true;
    }

    /** @param {PointerEvent} event */
    #partUnder(event) {
        return this.#start === null ? null : dragged(this.#start, this.#pointOf(event), this.#box);
    }

    /** @param {PointerEvent} event */
    #pointOf(event) {
        const { left, top } = this.#view.getBoundingClientRect();
        return { x: event.clientX - left - this.#view.clientLeft, y: event.clientY - top - this.#view.clientTop };
    }
}
