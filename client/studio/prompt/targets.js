/** Which canvases a prompt goes to: a box for each, kept with the page. */

import { element, find } from '../dom.js';
import { Batch } from '../frames.js';
import { KeyedList } from '../keyed.js';

/** @typedef {import('../store.js').StudioCanvas} StudioCanvas */

export class Targets {
    #store;
    #texts;
    #memory;
    #list;
    /** Whether the choice of the last visit was taken up: only where there is something to choose from. */
    #isRestored = false;

    /**
     * @param {import('../store.js').Store} store
     * @param {import('../texts.js').Texts} texts
     * @param {import('../memory.js').Memory} memory
     * @param {import('../../stream/environment.js').Environment} environment
     */
    constructor(store, texts, memory, environment) {
        this.#store = store;
        this.#texts = texts;
        this.#memory = memory;
        this.#list = new KeyedList(
            find('#targets'),
            (/** @type {StudioCanvas} */ canvas) => canvas.slug,
            (canvas) => this.#chip(canvas.slug),
        );
        const batch = new Batch(() => this.#show(), environment.requestFrame);
        store.addEventListener('canvases', () => {
            this.#restore();
            batch.request();
        });
        store.addEventListener('selection', () => {
            this.#keep();
            batch.request();
        });
        find('#targets-all').addEventListener('click', () => {
            store.selectOnly(store.canvases.map((canvas) => canvas.slug));
        });
        find('#targets-none').addEventListener('click', () => store.selectOnly([]));
        this.#show();
    }

    #restore() {
        const { canvases } = this.#store;
        if (this.#isRestored || canvases.length === 0) {
            return;
        }
        this.#isRestored = true;
        const kept = this.#memory.get('targets');
        const first = canvases.find((canvas) => canvas.temporary !== true);
        this.#store.selectOnly(kept === null ? [first?.slug ?? ''] : kept.split(','));
    }

    #keep() {
        if (this.#isRestored) {
            this.#memory.set('targets', [...this.#store.selection].join(','));
        }
    }

    #show() {
        const count = this.#store.selection.size;
        this.#list.show(this.#store.canvases);
        this.#texts.bind(find('#targets-note'), count === 0 ? 'prompt.targets_none' : 'prompt.targets_count', {
            values: { count },
        });
    }

    /** @param {string} slug */
    #chip(slug) {
        const box = element('input', { type: 'checkbox', name: 'canvas', value: slug });
        const root = element('label', { className: 'chip' }, box, element('span', { textContent: slug }));
        box.addEventListener('change', () => this.#store.select(slug, box.checked));
        const update = () => {
            box.checked = this.#store.selection.has(slug);
            root.classList.toggle('is-selected', box.checked);
        };
        return { root, update };
    }
}
