/** The studio's canvases: a card for each, live, in the order in which the server lists them. */

import { element, find } from '../dom.js';
import { Format } from '../format.js';
import { Batch } from '../frames.js';
import { KeyedList } from '../keyed.js';
import { tell } from '../problems.js';
import { AccessNote } from './access-note.js';
import { Card } from './card.js';
import { openCreateDialog } from './create.js';
import { confirmed } from './dialog.js';
import { figuresOf, waitingOn } from './figures.js';
import { SettingsDialog } from './settings-dialog.js';
import { TEXTS } from './texts.js';

/** @typedef {import('../store.js').StudioCanvas} StudioCanvas */
/** @typedef {import('../store.js').JobRecord} JobRecord */

/**
 * @typedef {object} PanelServices
 * @property {import('../store.js').Store} store
 * @property {import('../api.js').Api} api
 * @property {import('../../screen/screens.js').Screens} screens
 * @property {import('../texts.js').Texts} texts
 * @property {import('../../stream/environment.js').Environment} environment
 * @property {(message: string, kind?: import('../toasts.js').ToastKind) => void} notify
 */

export class CanvasesPanel {
    #services;
    #format;
    #parts;
    /** @type {KeyedList<StudioCanvas>} */
    #list;
    /** @type {Map<string, Card>} */
    #cards = new Map();
    #batch;
    #closing = new AbortController();

    /**
     * @param {HTMLElement} root Holds its title.
     * @param {PanelServices} services
     */
    constructor(root, services) {
        this.#services = services;
        const { store, texts, environment } = services;
        texts.add(TEXTS);
        this.#format = new Format(texts.language);
        this.#parts = build(texts);
        const { signal } = this.#closing;
        // The page's own button knows how.
        const access = new AccessNote(store, texts, () => find('#login').click(), signal);
        this.#parts.bar.append(access.root);
        root.append(this.#parts.bar, this.#parts.grid, this.#parts.empty);
        this.#list = new KeyedList(this.#parts.grid, ({ slug }) => slug, (canvas) => this.#makeRow(canvas));
        this.#batch = new Batch(() => this.#show(), (callback) => environment.requestFrame(callback));
        for (const news of ['canvases', 'jobs', 'traffic', 'selection']) {
            store.addEventListener(news, this.#batch.request, { signal });
        }
        // Whoever logs in or out is somebody else to the server, from the next connection on.
        store.addEventListener('authorised', () => this.#cards.forEach((card) => card.reconnect()), { signal });
        texts.addEventListener('language', () => {
            this.#format = new Format(texts.language);
            this.#batch.request();
        }, { signal });
        document.addEventListener('visibilitychange', () => {
            this.#cards.forEach((card) => card.setVisible(!document.hidden));
        }, { signal });
        this.#parts.all.addEventListener('click', () => this.#toggleAll());
        this.#parts.add.addEventListener('click', () => openCreateDialog(services));
        this.#show();
    }

    /**
     * Whether a canvas takes what is heard from this page.
     *
     * @param {string} slug
     */
    takesAudio(slug) {
        return this.#cards.get(slug)?.takesAudio === true;
    }

    /**
     * Send a message to the server over the connection of a canvas.
     *
     * @param {string} slug
     * @param {{ type: string } & Record<string, unknown>} message
     */
    send(slug, message) {
        this.#cards.get(slug)?.send(message);
    }

    close() {
        this.#closing.abort();
        this.#list.show([]);
    }

    /** @param {StudioCanvas} canvas */
    #makeRow(canvas) {
        const { texts, screens } = this.#services;
        const card = new Card(canvas, {
            texts,
            screens,
            isVisible: () => !document.hidden,
            format: () => this.#format,
            actions: this.#actions(),
        });
        this.#cards.set(canvas.slug, card);
        return {
            root: card.root,
            update: () => {},
            close: () => {
                this.#cards.delete(canvas.slug);
                card.close();
            },
        };
    }

    #show() {
        if (this.#closing.signal.aborted) {
            return;
        }
        const { store, texts } = this.#services;
        const { grid, empty, all, count } = this.#parts;
        this.#list.show(store.canvases);
        const jobs = byCanvas(store.jobs.values());
        for (const canvas of store.canvases) {
            const card = this.#cards.get(canvas.slug);
            card?.show(canvas, figuresOf(canvas, store.traffic.get(canvas.slug), jobs.get(canvas.slug) ?? []));
            card?.setSelected(store.selection.has(canvas.slug));
        }
        const total = store.canvases.length;
        grid.hidden = total === 0;
        empty.hidden = total > 0;
        all.disabled = total === 0;
        const isAll = total > 0 && store.selection.size === total;
        texts.bind(all, isAll ? 'canvases.none' : 'canvases.all');
        texts.bind(count, 'canvases.selected', { values: { count: store.selection.size, total } });
    }

    #toggleAll() {
        const { store } = this.#services;
        const isAll = store.selection.size === store.canvases.length;
        store.selectOnly(isAll ? [] : store.canvases.map(({ slug }) => slug));
    }

    /** @returns {import('./card.js').CardActions} */
    #actions() {
        const { api, store } = this.#services;
        const path = (/** @type {StudioCanvas} */ { slug }) => `/canvases/${slug}`;
        return {
            select: (slug, isSelected) => store.select(slug, isSelected),
            change: (canvas, patch) => this.#try(
                () => store.changeCanvas(canvas.slug, () => api.patch(path(canvas), patch)),
            ),
            skip: (canvas) => this.#try(() => api.post(`${path(canvas)}/queue/skip`)),
            clear: (canvas, count) => void this.#clear(canvas, count),
            cancel: (job) => this.#try(() => api.delete(`/jobs/${job.id}`)),
            edit: (canvas) => this.#edit(canvas),
            remove: (canvas) => void this.#remove(canvas),
        };
    }

    /** @param {StudioCanvas} canvas */
    #edit(canvas) {
        const { environment } = this.#services;
        void new SettingsDialog(canvas, { ...this.#services, timers: environment });
    }

    /**
     * @param {StudioCanvas} canvas
     * @param {number} count
     */
    async #clear({ slug }, count) {
        const { api, texts, store } = this.#services;
        const values = () => {
            const waiting = waitingOn(slug, store.jobs.values());
            return waiting === 0 ? null : { name: slug, count: waiting };
        };
        const question = {
            title: 'canvases.clear-title', text: 'canvases.clear-text', action: 'canvases.clear', values,
        };
        // A single job can be asked for again: one question less.
        if (count <= 1 || (await confirmed(texts, question, { source: store, type: 'jobs' }))) {
            this.#try(() => api.post(`/canvases/${slug}/queue/clear`));
        }
    }

    /** @param {StudioCanvas} canvas */
    async #remove({ slug, epoch }) {
        const { api, texts, store } = this.#services;
        // One that was made anew by the same name is another canvas.
        const isThere = () => store.canvases.some((known) => known.slug === slug && known.epoch === epoch);
        const question = {
            title: 'canvases.delete-title', text: 'canvases.delete-text', action: 'canvases.delete',
            values: () => (isThere() ? { name: slug } : null),
        };
        if (await confirmed(texts, question, { source: store, type: 'canvases' })) {
            this.#try(() => api.delete(`/canvases/${slug}`));
        }
    }

    /**
     * Do it, and say what went wrong with it.
     *
     * @param {() => Promise<unknown>} act
     */
    #try(act) {
        const { notify, texts } = this.#services;
        act().catch((/** @type {unknown} */ error) => notify(tell(error, texts), 'danger'));
    }
}

/**
 * @param {Iterable<JobRecord>} jobs
 * @returns {Map<string | null, JobRecord[]>}
 */
function byCanvas(jobs) {
    const found = new Map();
    for (const job of jobs) {
        const others = found.get(job.canvas);
        if (others === undefined) {
            found.set(job.canvas, [job]);
        } else {
            others.push(job);
        }
    }
    return found;
}

/** @param {import('../texts.js').Texts} texts */
function build(texts) {
    const all = element('button', { className: 'button button-small', type: 'button' });
    const add = element('button', { className: 'button button-small', type: 'button', 'aria-haspopup': 'dialog' });
    texts.bind(add, 'canvases.new');
    const count = element('span', { className: 'field-note', role: 'status' });
    const bar = element('div', { className: 'canvases-bar' }, all, count, add);
    const grid = element('div', { className: 'canvases-grid' });
    const empty = element('p', { className: 'empty', hidden: true });
    texts.bind(empty, 'canvases.empty');
    return { bar, grid, empty, all, add, count };
}
