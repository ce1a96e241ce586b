/**
 * The login: asks for the token, exchanges it for a cookie, and forgets it. The token is in the field while it is
 * typed and in the one request, nowhere else.
 */

import { ApiError } from './api.js';
import { find } from './dom.js';
import { tell } from './problems.js';

/**
 * @typedef {object} LoginServices
 * @property {import('./store.js').Store} store
 * @property {import('./texts.js').Texts} texts
 * @property {(message: string, kind?: import('./toasts.js').ToastKind) => void} notify
 */

export class Login {
    #store;
    #texts;
    #notify;
    #api = /** @type {import('./api.js').Api | null} */ (null);
    #dialog = /** @type {HTMLDialogElement} */ (find('#login-dialog'));
    #field = /** @type {HTMLInputElement} */ (find('#field-token'));
    #error = find('#token-error');
    #isBusy = false;
    /** @type {((isLoggedIn: boolean) => void) | null} */
    #answer = null;

    /** @param {LoginServices} services */
    constructor({ store, texts, notify }) {
        this.#store = store;
        this.#texts = texts;
        this.#notify = notify;
        find('#login-form').addEventListener('submit', (event) => {
            event.preventDefault();
            void this.#submit();
        });
        find('#login-cancel').addEventListener('click', () => this.#dialog.close());
        this.#dialog.addEventListener('close', () => this.#end(false));
        find('#login').addEventListener('click', () => void this.ask());
        find('#logout').addEventListener('click', () => void this.#logOut());
        store.addEventListener('access', () => this.#show());
        this.#show();
    }

    /** @param {import('./api.js').Api} api The one that asks here when it finds the door locked. */
    use(api) {
        this.#api = api;
    }

    /**
     * Ask the reader for the token. Resolves once the server took it, or once the reader gave up.
     *
     * @returns {Promise<boolean>}
     */
    ask() {
        this.#answer?.(false);
        this.#say(null);
        this.#field.value = '';
        if (!this.#dialog.open) {
            this.#dialog.showModal();
        }
        return new Promise((resolve) => {
            this.#answer = resolve;
        });
    }

    async #submit() {
        if (this.#isBusy || this.#api === null) {
            return;
        }
        this.#isBusy = true;
        try {
            await this.#api.post('/login', { token: this.#field.value });
        } catch (error) {
            this.#say(error);
            this.#field.select();
            return;
        } finally {
            this.#isBusy = false;
        }
        this.#store.setAccess({ needsToken: true, isAuthorised: true });
        this.#end(true);
        this.#dialog.close();
        this.#keepFocus();
        this.#notify(this.#texts.t('login.done'), 'ok');
    }

    async #logOut() {
        try {
            await this.#api?.post('/logout');
        } catch (error) {
            this.#notify(this.#texts.t('page.failed', { message: tell(error, this.#texts) }), 'danger');
            return;
        }
        this.#store.setAccess({ needsToken: true, isAuthorised: false });
        this.#notify(this.#texts.t('login.out'));
        find('#login').focus();
    }

    /** The dialog gives the focus back to what asked for it, unless that was the button that went with the login. */
    #keepFocus() {
        const focused = document.activeElement;
        if (focused === null || focused === document.body || this.#dialog.contains(focused)) {
            find('#logout').focus();
        }
    }

    /** @param {boolean} isLoggedIn */
    #end(isLoggedIn) {
        this.#field.value = '';
        this.#answer?.(isLoggedIn);
        this.#answer = null;
    }

    /** @param {unknown} error Null: nothing is wrong yet. */
    #say(error) {
        const status = error instanceof ApiError ? error.status : 0;
        const key = { 401: 'login.wrong', 429: 'login.too_many' }[status];
        this.#field.setAttribute('aria-invalid', String(error !== null));
        if (error === null) {
            this.#error.textContent = '';
        } else {
            const message = tell(error, this.#texts);
            this.#error.textContent = key ? this.#texts.t(key) : this.#texts.t('page.failed', { message });
        }
    }

    #show() {
        const { access: { needsToken, isAuthorised }, isLocked } = this.#store;
        find('#login').hidden = !isLocked;
        find('#logout').hidden = !needsToken || !isAuthorised;
        find('#locked').hidden = !isLocked;
        document.documentElement.dataset.access = isLocked ? 'view' : 'full';
    }
}
