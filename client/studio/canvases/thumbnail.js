/** A small live picture of a canvas: a screen as on the wall, that wants few frames, none while out of sight. */

import { watchSize } from '../../page/size.js';
import { socketUrl } from '../../page/urls.js';
import { element } from '../dom.js';

/**
 * @typedef {object} ThumbnailEvents
 * @property {(isUp: boolean) => void} [onConnection]
 * @property {(box: import('../../wall/layout.js').Rectangle, pixelRatio: number) => void} [onBox] Where the picture
 *     lies in the thumbnail, in device pixels.
 */

export class Thumbnail {
    #screen;
    #unwatch;
    #isPageVisible;
    #isInSight = false;
    #isEnded = false;
    /** @type {string | null} */
    #epoch = null;
    #takesAudio = false;
    #pixelRatio = 1;

    /**
     * @param {HTMLElement} root The canvas element is put into it and has its size.
     * @param {string} slug
     * @param {object} services
     * @param {import('../../screen/screens.js').Screens} services.screens
     * @param {number} services.maxFps
     * @param {boolean} services.isVisible Whether the page is, at the start.
     * @param {ThumbnailEvents} [events]
     */
    constructor(root, slug, { screens, maxFps, isVisible }, events = {}) {
        this.#isPageVisible = isVisible;
        const canvas = element('canvas', { className: 'thumbnail-picture', role: 'img', 'aria-label': slug });
        canvas.dataset.slug = slug;
        root.append(canvas);
        // Only to watch: a page that is left open keeps no canvas alive.
        const url = socketUrl(`/ws/${slug}?watch=1`, location.href);
        this.#screen = screens.create(
            canvas,
            { slug, url, maxFps, isVisible: false, fit: 'contain', background: null, isSmooth: true },
            {
                onHello: (hello) => {
                    this.#epoch = hello.epoch;
                    this.#takesAudio = hello.features?.includes('audio') === true;
                    events.onConnection?.(true);
                },
                onDown: () => {
                    this.#takesAudio = false;
                    events.onConnection?.(false);
                },
                onEnd: () => {
                    this.#isEnded = true;
                },
                onBox: (box) => events.onBox?.(box, this.#pixelRatio),
                onDrawn: ({ sequence }) => {
                    canvas.dataset.sequence = String(sequence);
                },
            },
        );
        this.#unwatch = [this.#watchSize(root), this.#watchSight(root)];
        this.#screen.open();
    }

    /** Whether the server takes what is heard from this page. */
    get takesAudio() {
        return this.#takesAudio;
    }

    /** @param {boolean} isVisible Whether the page is. */
    setVisible(isVisible) {
        this.#isPageVisible = isVisible;
        this.#tellSight();
    }

    /**
     * Come back where the canvas was deleted and made again.
     *
     * @param {string | undefined} epoch Of the canvas as it is now.
     */
    follow(epoch) {
        if (this.#isEnded && epoch !== this.#epoch) {
            this.#isEnded = false;
            this.#screen.open();
        }
    }

    /** Come anew: what this page may do is judged where the connection is made. */
    reconnect() {
        if (!this.#isEnded) {
            this.#takesAudio = false;
            this.#screen.open();
        }
    }

    /** @param {{ type: string } & Record<string, unknown>} message */
    send(message) {
        this.#screen.send(message);
    }

    close() {
        this.#unwatch.forEach((stop) => stop());
        this.#screen.close();
    }

    /** @param {HTMLElement} root */
    #watchSize(root) {
        return watchSize(root, (size, pixelRatio) => {
            this.#pixelRatio = pixelRatio;
            if (size.width > 0 && size.height > 0) {
                this.#screen.hang({ place: size, view: { x: 0, y: 0, ...size } });
            }
        });
    }

    /** @param {HTMLElement} root */
    #watchSight(root) {
        const observer = new IntersectionObserver((entries) => {
            this.#isInSight = entries[entries.length - 1].isIntersecting;
            this.#tellSight();
        });
        observer.observe(root);
        return () => observer.disconnect();
    }

    #tellSight() {
        this.#screen.setVisible(this.#isPageVisible && this.#isInSight);
    }
}
