/** The head of the page: how the connection is, everything dark, the language, the colours, the keys. */

import { Blackout } from './blackout.js';
import { find } from './dom.js';

/**
 * @typedef {object} TopbarServices
 * @property {import('./store.js').Store} store
 * @property {import('./api.js').Api} api
 * @property {import('./texts.js').Texts} texts
 * @property {import('./memory.js').Memory} memory
 * @property {() => Promise<boolean>} logIn Asks the reader to log in; whether he did.
 * @property {(message: string, kind?: import('./toasts.js').ToastKind) => void} notify
 */

export class Topbar {
    #store;
    #texts;
    #memory;
    #notify;
    #blackout;
    #wasUp = false;
    #keys = /** @type {HTMLDialogElement} */ (find('#keys-dialog'));

    /** @param {TopbarServices} services */
    constructor({ store, api, texts, memory, logIn, notify }) {
        this.#store = store;
        this.#texts = texts;
        this.#memory = memory;
        this.#notify = notify;
        this.#blackout = new Blackout(
            () => store.canvases,
            // The answer counts at once: the events may be cut off while the canvases still can be changed.
            (slug, blank) => store.changeCanvas(slug, () => api.patch(`/canvases/${slug}`, { blank })),
            { isLocked: () => store.isLocked, logIn },
        );
        find('#blank').addEventListener('click', () => void this.toggleBlank());
        find('#show-keys').addEventListener('click', () => this.showKeys());
        find('#keys-close').addEventListener('click', () => this.#keys.close());
        store.addEventListener('canvases', () => this.#showBlank());
        store.addEventListener('connection', () => this.#showConnection());
        store.addEventListener('traffic', () => this.#showService());
        this.#chooseLanguage();
        this.#chooseTheme();
        this.#showBlank();
        this.#showConnection();
    }

    async toggleBlank() {
        const doing = this.#blackout.toggle();
        this.#showBlank();
        const done = await doing;
        this.#showBlank();
        if (done === null) {
            return;
        }
        const { isBlank, failed } = done;
        if (failed.length > 0) {
            const values = { count: failed.length, slugs: failed.join(', ') };
            this.#notify(this.#texts.t('page.blank_failed', values), 'danger');
        } else {
            // By the key nothing else tells it to whoever does not see the button.
            find('#announcer').textContent = this.#texts.t(isBlank ? 'page.blanked' : 'page.unblanked');
        }
    }

    showKeys() {
        this.#keys.showModal();
    }

    #showBlank() {
        const { isBlank } = this.#blackout;
        find('#blank').classList.toggle('is-on', isBlank);
        this.#texts.bind(find('#blank-text'), isBlank ? 'page.unblank' : 'page.blank');
        /** @type {HTMLButtonElement} */ (find('#blank')).disabled = this.#store.canvases.length === 0;
    }

    #showConnection() {
        const { connection } = this.#store;
        this.#wasUp ||= connection === 'up';
        const state = connection === 'down' && !this.#wasUp ? 'first' : connection;
        find('#connection').dataset.state = state;
        this.#texts.bind(find('#connection-text'), `connection.${state}`);
    }

    /** The painting service is told of only where it is away: all well needs no words. */
    #showService() {
        const { service } = this.#store;
        const isAway = service !== null && service.serving === false;
        find('#service').hidden = !isAway;
        if (isAway) {
            find('#service').dataset.state = 'down';
            this.#texts.bind(find('#service-text'), 'service.away');
        }
    }

    #chooseLanguage() {
        const choice = /** @type {HTMLSelectElement} */ (find('#language'));
        const follow = () => {
            document.documentElement.lang = this.#texts.language;
            choice.value = this.#texts.language;
        };
        choice.addEventListener('change', () => {
            this.#texts.setLanguage(choice.value);
            this.#memory.set('language', choice.value);
        });
        this.#texts.addEventListener('language', follow);
        follow();
    }

    #chooseTheme() {
        const choice = /** @type {HTMLSelectElement} */ (find('#theme'));
        const follow = () => {
            const isChosen = choice.value === 'dark' || choice.value === 'light';
            if (isChosen) {
                document.documentElement.dataset.theme = choice.value;
            } else {
                delete document.documentElement.dataset.theme;
            }
            this.#memory.set('theme', isChosen ? choice.value : null);
        };
        choice.value = this.#memory.get('theme') ?? 'auto';
        choice.addEventListener('change', follow);
        follow();
    }
}
