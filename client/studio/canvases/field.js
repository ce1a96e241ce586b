/** One setting on the page: its label, what it is set with, what is wrong with it, and the way back. */

import { element } from '../dom.js';
import { labelOf, parse } from './settings.js';

/** @typedef {import('./settings.js').Setting} Setting */
/** @typedef {import('./settings.js').Value} Value */

let count = 0;

/** Make an id that no other element of the page has. */
export function newId(/** @type {string} */ what) {
    count += 1;
    return `${what}-${count}`;
}

export class Field {
    #setting;
    #texts;
    #onChange;
    /** @type {HTMLInputElement | HTMLSelectElement} */
    #input;
    /** @type {HTMLInputElement | null} The number beside a slider. */
    #number = null;
    #error;
    #reset;
    #isWrong = false;

    /**
     * @param {Setting} setting
     * @param {import('../texts.js').Texts} texts
     * @param {(value: Value) => void} onChange
     * @param {string} [label] Key of its text.
     */
    constructor(setting, texts, onChange, label = labelOf(setting)) {
        this.#setting = setting;
        this.#texts = texts;
        this.#onChange = onChange;
        const id = newId('field');
        this.#error = element('p', { className: 'field-error', id: `${id}-error`, role: 'alert', hidden: true });
        this.#input = setting.kind === 'choice' ? this.#makeChoice(id, label) : this.#makeInput(id);
        const name = element('label', { htmlFor: id });
        texts.bind(name, label);
        const controls = element('div', { className: 'setting-controls' }, this.#input);
        if (setting.kind === 'slider') {
            this.#number = this.#makeNumber();
            texts.bind(this.#number, label, { attribute: 'aria-label' });
            controls.append(this.#number);
        }
        this.#reset = element('button', { className: 'setting-reset', type: 'button', hidden: true });
        this.#reset.textContent = '↺';
        for (const attribute of ['aria-label', 'title']) {
            texts.bind(this.#reset, 'canvases.reset-of', { attribute, values: { name: texts.t(label) } });
        }
        this.#reset.addEventListener('click', () => this.#restore());
        const className = `field setting setting-${setting.kind}`;
        this.root = element('div', { className }, name, controls, this.#reset, this.#error);
        this.root.dataset.setting = setting.name;
    }

    get name() {
        return this.#setting.name;
    }

    get setting() {
        return this.#setting;
    }

    /** Whether what was typed is no value for it. */
    get isWrong() {
        return this.#isWrong;
    }

    /**
     * Show what the canvas has.
     *
     * @param {Value} value
     */
    show(value) {
        if (this.#isWrong || document.activeElement === this.#number) {
            return;
        }
        const text = value === null ? '' : String(value);
        // A slider that is being dragged tells the truth itself.
        if (this.#input !== document.activeElement || this.#setting.kind === 'choice') {
            this.#input.value = text;
        }
        if (this.#number !== null) {
            this.#number.value = text;
        }
        this.#tellReset(value);
    }

    /**
     * Say what is wrong with it; null: nothing.
     *
     * @param {string | null} message
     */
    complain(message) {
        this.#isWrong = message !== null;
        this.#error.hidden = message === null;
        this.#error.textContent = message ?? '';
        for (const input of [this.#input, this.#number]) {
            input?.setAttribute('aria-invalid', String(message !== null));
            if (message === null) {
                input?.removeAttribute('aria-describedby');
            } else {
                input?.setAttribute('aria-describedby', this.#error.id);
            }
        }
    }

    /** @param {string} id */
    #makeInput(id) {
        const { kind, min, max, step } = this.#setting;
        const type = { slider: 'range', color: 'color', integer: 'number', number: 'number', choice: '' }[kind];
        const input = element('input', { id, type });
        this.#limit(input, min, max, step);
        input.addEventListener('input', () => this.#take(input.value));
        return input;
    }

    #makeNumber() {
        const { min, max, step } = this.#setting;
        const number = element('input', { type: 'number', className: 'setting-number' });
        this.#limit(number, min, max, step);
        number.addEventListener('input', () => this.#take(number.value));
        return number;
    }

    /**
     * @param {HTMLInputElement} input
     * @param {number} [min]
     * @param {number} [max]
     * @param {number} [step]
     */
    #limit(input, min, max, step) {
        for (const [name, value] of Object.entries({ min, max, step: input.type === 'range' ? step : 'any' })) {
            if (value !== undefined && input.type !== 'color') {
                input.setAttribute(name, String(value));
            }
        }
    }

    /**
     * @param {string} id
     * @param {string} label
     */
    #makeChoice(id, label) {
        const select = element('select', { id });
        for (const choice of this.#setting.choices ?? []) {
            const option = element('option', { value: String(choice) });
            this.#texts.bind(option, `${label}.${choice}`);
            select.append(option);
        }
        select.addEventListener('change', () => this.#take(select.value));
        return select;
    }

    /** @param {string} text */
    #take(text) {
        const read = parse(this.#setting, text);
        if ('complaint' in read) {
            const { min = 0, max = 0 } = this.#setting;
            this.complain(this.#texts.t(`canvases.wrong.${read.complaint}`, { min, max }));
            return;
        }
        this.complain(null);
        for (const input of [this.#input, this.#number]) {
            if (input !== null && input !== document.activeElement) {
                input.value = String(read.value ?? '');
            }
        }
        this.#tellReset(read.value);
        this.#onChange(read.value);
    }

    #restore() {
        this.complain(null);
        const { usual = null } = this.#setting;
        this.#input.value = String(usual ?? '');
        if (this.#number !== null) {
            this.#number.value = this.#input.value;
        }
        this.#tellReset(usual);
        // It vanishes under the focus.
        this.#input.focus();
        this.#onChange(usual);
    }

    /** @param {Value} value */
    #tellReset(value) {
        const { usual } = this.#setting;
        this.#reset.hidden = usual === undefined || value === usual;
    }
}
