/**
 * The figures of a page's screens, on key d: all of them open and close together. Escape closes them, too.
 *
 * While they are closed nothing is measured for them, and nothing is asked of the server.
 */

import { meaningOf } from './keys.js';
import { Overlay } from './overlay.js';

/**
 * @typedef {object} Mounted One screen's figures, seen or not.
 * @property {(hello: import('../stream/wire.js').Hello) => void} note The connection has begun.
 * @property {(figures: import('../screen/figures.js').Figures) => void} show
 * @property {() => void} close
 */

/**
 * @typedef {object} Place
 * @property {HTMLElement} parent
 * @property {string} slug
 * @property {(isOpen: boolean) => void} onOpen
 * @property {number | null} subscriber
 * @property {Overlay | null} overlay Null while it is closed.
 */

export class Overlays {
    #document;
    #services;
    /** @type {Set<Place>} */
    #places = new Set();
    #isOpen = false;
    #listening = new AbortController();

    /**
     * @param {Document} document Whose keys are listened to.
     * @param {import('./overlay.js').OverlayServices} services
     */
    constructor(document, services) {
        this.#document = document;
        this.#services = services;
        const { signal } = this.#listening;
        document.addEventListener('keydown', (event) => this.#press(event), { signal });
    }

    /**
     * Have a screen's figures shown while the page's are open.
     *
     * @param {HTMLElement} parent What the panel is put into: it is positioned.
     * @param {string} slug
     * @param {(isOpen: boolean) => void} onOpen Called when figures are wanted, and when they are no longer.
     * @returns {Mounted}
     */
    mount(parent, slug, onOpen) {
        /** @type {Place} */
        const place = { parent, slug, onOpen, subscriber: null, overlay: null };
        this.#places.add(place);
        if (this.#isOpen) {
            this.#open(place);
        }
        return {
            note: ({ subscriber }) => {
                place.subscriber = subscriber ?? null;
                place.overlay?.note(place.subscriber);
            },
            show: (figures) => place.overlay?.show(figures),
            close: () => {
                this.#places.delete(place);
                this.#close(place);
            },
        };
    }

    /** Close everything, and listen no more. */
    close() {
        this.#listening.abort();
        this.#set(false);
    }

    /** @param {KeyboardEvent} event */
    #press(event) {
        const meaning = meaningOf(event);
        if (meaning === 'toggle') {
            this.#set(!this.#isOpen);
        } else if (meaning === 'close') {
            this.#set(false);
        }
    }

    /** @param {boolean} isOpen */
    #set(isOpen) {
        this.#isOpen = isOpen;
        this.#document.documentElement.classList.toggle('has-overlay', isOpen);
        for (const place of this.#places) {
            if (isOpen) {
                this.#open(place);
            } else {
                this.#close(place);
            }
        }
    }

    /** @param {Place} place */
    #open(place) {
        if (place.overlay === null) {
            place.overlay = new Overlay(place.parent, place.slug, place.subscriber, this.#services);
            place.onOpen(true);
        }
    }

    /** @param {Place} place */
    #close(place) {
        if (place.overlay !== null) {
            place.overlay.close();
            place.overlay = null;
            place.onOpen(false);
        }
    }
}
