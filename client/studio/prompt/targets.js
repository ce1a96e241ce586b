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
    /**
     * The choice that is remembered or was taken up from the last visit; null until there is something to choose from.
     *
     * @type {ReadonlySet<string> | null}
     */
    #chosen = null;

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
        if (this.#chosen !== null || canvases.length === 0) {
            return;
        }
        const kept = this.#memory.get('targets');
        const first = canvases.find((canvas) => canvas.temporary !== true);
        this.#store.selectOnly(kept === null ? [first?.slug ?? ''] : kept.split(','));
        this.#chosen = this.#store.chosen;
    }

    /** A canvas that is away for a moment, as while the server starts, stays chosen. */
    #keep() {
        const { chosen } = this.#store;
        if (this.#chosen !== null && chosen !== this.#chosen) {
            this.#chosen = chosen;
            this.#memory.set('targets', [...chosen].join(','));
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
