/** Short news in a corner of the page: told to eyes and to screen readers, gone by themselves. */

import { element } from './dom.js';

/** @typedef {'info' | 'ok' | 'danger'} ToastKind */

const STAYS_MS = 6000;
// What went wrong is read more slowly.
const DANGER_STAYS_MS = 15_000;
const MOST_TOASTS = 5;

export class Toasts {
    #root;
    #texts;
    #environment;

    /**
     * @param {HTMLElement} root A live region.
     * @param {import('./texts.js').Texts} texts
     * @param {Pick<import('../stream/environment.js').Environment, 'setTimer'>} environment
     */
    constructor(root, texts, environment) {
        this.#root = root;
        this.#texts = texts;
        this.#environment = environment;
    }

    /**
     * @param {string} message In the reader's language.
     * @param {ToastKind} [kind]
     */
    notify = (message, kind = 'info') => {
        const close = element('button', { type: 'button', className: 'toast-close', textContent: '×' });
        this.#texts.bind(close, 'page.dismiss', { attribute: 'aria-label' });
        const toast = element(
            'div',
            { className: 'toast', dataset: { kind } },
            element('p', { textContent: message }),
            close,
        );
        if (kind === 'danger') {
            // At once; the others wait for their turn in the region, which is there before them.
            toast.setAttribute('role', 'alert');
        }
        close.addEventListener('click', () => toast.remove());
        this.#root.append(toast);
        while (this.#root.childElementCount > MOST_TOASTS) {
            this.#root.firstElementChild?.remove();
        }
        const stayMs = kind === 'danger' ? DANGER_STAYS_MS : STAYS_MS;
        this.#environment.setTimer(() => toast.remove(), stayMs);
    };
}
