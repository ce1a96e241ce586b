/** The prompt form on the page: its fields to values and back, and what is said beside them. */

import { element, find } from '../dom.js';
import { EMPTY, usedFields } from './values.js';

/** @typedef {import('./values.js').Values} Values */
/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Control */

/**
 * @typedef {object} Part One field: its frame, and the two lines below it.
 * @property {HTMLElement} frame
 * @property {HTMLElement} note
 * @property {HTMLElement} error
 * @property {HTMLElement} control What is marked, and described by the lines.
 */

export class Form {
    #form;
    #texts;
    /** @type {Map<string, Part>} */
    #parts = new Map();

    /**
     * @param {HTMLFormElement} form
     * @param {import('../texts.js').Texts} texts
     */
    constructor(form, texts) {
        this.#form = form;
        this.#texts = texts;
        for (const frame of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll('[data-field]'))) {
            const name = /** @type {string} */ (frame.dataset.field);
            this.#parts.set(name, partOf(frame, name));
        }
        form.addEventListener('input', (event) => {
            const frame = /** @type {HTMLElement} */ (event.target).closest('[data-field]');
            this.clearProblem(/** @type {HTMLElement | null} */ (frame)?.dataset.field);
            this.showUsed();
        });
    }

    /** @returns {Values} */
    get values() {
        const data = new FormData(this.#form);
        const read = Object.keys(EMPTY).map((name) => [name, this.#valueOf(name, data)]);
        return Object.fromEntries(read);
    }

    /** @param {Values} values */
    fill(values) {
        for (const [name, value] of Object.entries(values)) {
            const control = this.#form.elements.namedItem(name);
            if (control instanceof HTMLSelectElement && ![...control.options].some((one) => one.value === value)) {
                // Not on offer (yet): the choice is kept, and the server says no where it must.
                control.append(element('option', { value, textContent: value }));
            }
            if (control !== null && 'value' in control) {
                control.value = value;
            }
        }
        this.clearProblems();
        this.showUsed();
    }

    /** Show the fields that count as the form stands. */
    showUsed() {
        const { values } = this;
        const used = usedFields(values);
        for (const name of ['count', 'fps', 'transition_s', 'strength']) {
            this.#part(name).frame.hidden = !used.has(name);
        }
        find('#pictures').hidden = values.source !== 'upload';
        /** @type {HTMLInputElement} */ (find('#field-seed')).disabled = !used.has('seed');
        find('#strength-value').textContent = Number(values.strength).toFixed(2);
    }

    /**
     * Say something below a field; null: nothing.
     *
     * @param {string} field
     * @param {string | null} key
     * @param {Record<string, string | number>} [values]
     */
    note(field, key, values = {}) {
        const { note } = this.#part(field);
        if (key === null) {
            this.#texts.unbind(note);
            note.textContent = '';
        } else {
            this.#texts.bind(note, key, { values });
        }
    }

    /**
     * @param {string} field
     * @param {boolean} isUnused By the model.
     */
    setUnused(field, isUnused) {
        this.#part(field).frame.classList.toggle('is-unused', isUnused);
    }

    /**
     * Say what is wrong, at its field where there is one, and take the reader there.
     *
     * @param {string | null} field
     * @param {string} message
     */
    showProblem(field, message) {
        this.clearProblems();
        // The server names an item of a list by its number: `canvases.0`.
        const part = this.#parts.get((field ?? '').split('.')[0]);
        if (part === undefined) {
            find('#form-error').textContent = message;
            return;
        }
        part.error.textContent = message;
        part.control.setAttribute('aria-invalid', 'true');
        const closed = part.frame.closest('details');
        if (closed !== null) {
            closed.open = true;
        }
        const isGroup = part.control.getAttribute('role') === 'radiogroup';
        const target = isGroup ? part.control.querySelector('input:checked') ?? part.control : part.control;
        /** @type {HTMLElement} */ (target).focus();
        part.frame.scrollIntoView({ block: 'nearest' });
    }

    /** @param {string} [field] */
    clearProblem(field) {
        const part = this.#parts.get(field ?? '');
        if (part !== undefined) {
            part.error.textContent = '';
            part.control.removeAttribute('aria-invalid');
        }
        find('#form-error').textContent = '';
    }

    clearProblems() {
        [...this.#parts.keys()].forEach((field) => this.clearProblem(field));
    }

    /**
     * @param {string} name
     * @param {FormData} data
     */
    #valueOf(name, data) {
        const control = this.#form.elements.namedItem(name);
        if (control instanceof HTMLInputElement && control.validity.badInput) {
            // What is no number reads as nothing, and nothing is allowed.
            return 'NaN';
        }
        // A disabled field is not in the data of its form.
        return String(data.get(name) ?? /** @type {any} */ (control)?.value ?? '');
    }

    /** @param {string} field */
    #part(field) {
        return /** @type {Part} */ (this.#parts.get(field));
    }
}

/**
 * @param {HTMLElement} frame
 * @param {string} name
 * @returns {Part}
 */
function partOf(frame, name) {
    const control = /** @type {HTMLElement} */ (
        frame.querySelector('[role="radiogroup"]') ?? frame.querySelector('input, select, textarea') ?? frame
    );
    const note = element('p', { id: `note-${name}`, className: 'field-note' });
    const error = element('p', { id: `error-${name}`, className: 'field-error', role: 'alert' });
    const described = [control.getAttribute('aria-describedby'), note.id, error.id].filter(Boolean).join(' ');
    control.setAttribute('aria-describedby', described);
    frame.append(note, error);
    return { frame, note, error, control };
}
