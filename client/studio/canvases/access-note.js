/**
 * Says that only who has logged in may change canvases, and opens the login. The buttons of the canvases stay as they
 * are: each of them asks for the token when it is pressed.
 */

import { element } from '../dom.js';

/** @typedef {import('../store.js').Store} Store */

export class AccessNote {
    #store;

    /**
     * @param {Pick<Store, 'isLocked' | 'addEventListener'>} store
     * @param {import('../texts.js').Texts} texts
     * @param {() => void} logIn
     * @param {AbortSignal} signal Ends it.
     */
    constructor(store, texts, logIn, signal) {
        this.#store = store;
        this.root = element('button', {
            className: 'button button-small canvases-login', type: 'button', 'aria-haspopup': 'dialog',
        });
        texts.bind(this.root, 'canvases.log-in');
        this.root.addEventListener('click', logIn);
        store.addEventListener('access', () => this.#show(), { signal });
        this.#show();
    }

    #show() {
        this.root.hidden = !this.#store.isLocked;
    }
}
