/** The lists of the prompt form: models, styles, templates and sizes, as the inference service offers them. */

import { element, find } from '../dom.js';

/** @typedef {import('../store.js').StyleRecord} StyleRecord */
/** @typedef {import('./values.js').Rule} Rule */

/** @type {{ key: string, width: number, height: number }[]} */
const SHAPES = [
    { key: 'shape.square', width: 512, height: 512 },
    { key: 'shape.square', width: 768, height: 768 },
    { key: 'shape.square', width: 1024, height: 1024 },
    { key: 'shape.landscape', width: 768, height: 512 },
    { key: 'shape.landscape', width: 1024, height: 576 },
    { key: 'shape.landscape', width: 1920, height: 1080 },
    { key: 'shape.portrait', width: 512, height: 768 },
    { key: 'shape.portrait', width: 576, height: 1024 },
    { key: 'shape.portrait', width: 1080, height: 1920 },
];

const CUSTOM = 'custom';

export class Choices {
    #store;
    #texts;
    #model = select('#field-model');
    #style = select('#field-style');
    #template = select('#field-template');
    #shape = select('#field-shape');
    #width = /** @type {HTMLInputElement} */ (find('#field-width'));
    #height = /** @type {HTMLInputElement} */ (find('#field-height'));
    #shown = '';
    #shapes = '';

    /**
     * @param {import('../store.js').Store} store
     * @param {import('../texts.js').Texts} texts
     * @param {() => void} onShape The size was chosen from the list.
     */
    constructor(store, texts, onShape) {
        this.#store = store;
        this.#texts = texts;
        this.#shape.addEventListener('change', () => {
            if (this.#shape.value !== CUSTOM) {
                [this.#width.value, this.#height.value] = this.#shape.value.split('x');
                onShape();
            } else {
                this.#width.focus();
            }
        });
        texts.addEventListener('language', () => this.show());
        this.show();
    }

    /** Show what is on offer now; what was chosen stays chosen. */
    show() {
        const { models, defaultModel, styles, templates } = this.#store;
        const shown = JSON.stringify([this.#texts.language, models, defaultModel, styles, templates]);
        if (shown === this.#shown) {
            return;
        }
        this.#shown = shown;
        const t = (/** @type {string} */ key, /** @type {any} */ values) => this.#texts.t(key, values);
        const first = t('prompt.default_model', { model: defaultModel || '…' });
        fill(this.#model, first, models.map(({ name, state, error }) => {
            const told = state === 'failed' ? t('model.failed', { error }) : t(`model.${state}`, {});
            return { value: name, text: `${name} · ${told}` };
        }));
        const named = (/** @type {StyleRecord} */ { name, description }) => ({
            value: name, text: name, title: description,
        });
        fill(this.#style, t('prompt.no_style', {}), styles.map(named));
        fill(this.#template, t('prompt.no_style', {}), templates.map(named));
    }

    /**
     * Offer the sizes that the model can paint.
     *
     * @param {Rule} side
     */
    showShapes({ min, max }) {
        const shapes = `${this.#texts.language} ${min} ${max}`;
        if (shapes === this.#shapes) {
            // A list that is open while it is made anew closes.
            this.showShape();
            return;
        }
        this.#shapes = shapes;
        const fitting = SHAPES.filter(({ width, height }) => Math.min(width, height) >= min
            && Math.max(width, height) <= max && width % 8 === 0 && height % 8 === 0);
        const options = fitting.map(({ key, width, height }) => ({
            value: `${width}x${height}`,
            text: this.#texts.t(key, { width: String(width), height: String(height) }),
        }));
        options.push({ value: CUSTOM, text: this.#texts.t('shape.custom') });
        fill(this.#shape, this.#texts.t('shape.own'), options, 'x');
        this.showShape();
    }

    /** Show in the list which size the two fields hold. */
    showShape() {
        const value = `${this.#width.value}x${this.#height.value}`;
        const isListed = [...this.#shape.options].some((option) => option.value === value);
        this.#shape.value = isListed ? value : CUSTOM;
    }
}

/** @param {string} selector */
function select(selector) {
    return /** @type {HTMLSelectElement} */ (find(selector));
}

/**
 * @param {HTMLSelectElement} list
 * @param {string} first The text of what is chosen where nothing is.
 * @param {{ value: string, text: string, title?: string }[]} options
 * @param {string} [none] The value of nothing.
 */
function fill(list, first, options, none = '') {
    const { value } = list;
    const all = [{ value: none, text: first }, ...options];
    if (value !== '' && !all.some((option) => option.value === value)) {
        // Chosen before it went off the list, or before the list came.
        all.push({ value, text: value });
    }
    list.replaceChildren(...all.map(({ value: one, text, title = '' }) => element('option', {
        value: one, textContent: text, title,
    })));
    list.value = value === '' ? none : value;
}
