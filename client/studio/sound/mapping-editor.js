/**
 * The mapping of one canvas on the page: every change is sent as it is made. What others change meanwhile appears,
 * except where something is being typed.
 */

import { Field, newId } from '../canvases/field.js';
import { Patcher } from '../canvases/patcher.js';
import { element } from '../dom.js';
import { KeyedList } from '../keyed.js';
import { tell } from '../problems.js';
import { Mappings, placeOf, settingsOf } from './mapping.js';

/** @typedef {import('./mapping.js').Row} Row */
/** @typedef {import('../store.js').StudioCanvas} StudioCanvas */

/**
 * @typedef {object} EditorServices
 * @property {import('../store.js').Store} store
 * @property {import('../api.js').Api} api
 * @property {import('../texts.js').Texts} texts
 * @property {import('../../stream/environment.js').Environment} environment
 * @property {(message: string, kind?: import('../toasts.js').ToastKind) => void} notify
 */

export class MappingEditor {
    #services;
    #parts;
    #mappings = new Mappings();
    #slug = '';
    /** @type {StudioCanvas | null} As the server told it last. */
    #told = null;
    #isRefused = false;
    /** @type {Patcher | null} */
    #patcher = null;
    /** @type {KeyedList<Row>} */
    #list;
    /** @type {Map<string, Field[]>} By the keys of their rows. */
    #fields = new Map();

    /** @param {EditorServices} services */
    constructor(services) {
        this.#services = services;
        this.#parts = build(services.texts);
        this.root = this.#parts.root;
        this.#list = new KeyedList(this.#parts.rows, ({ key }) => key, (row) => this.#makeRow(row));
        const { canvas, enabled, add, reset, rows } = this.#parts;
        canvas.addEventListener('change', () => this.#choose(canvas.value));
        enabled.addEventListener('change', () => this.#send({ enabled: enabled.checked }));
        add.addEventListener('click', () => this.#edit(() => this.#mappings.add()));
        reset.addEventListener('click', () => this.#sendAll({ audio: null }));
        rows.addEventListener('focusout', () => this.#show());
    }

    /** Follow the canvases of the server. */
    follow() {
        const { canvases } = this.#services.store;
        const { canvas: select, root } = this.#parts;
        const slugs = canvases.map(({ slug }) => slug);
        if ([...select.options].map(({ value }) => value).join() !== slugs.join()) {
            select.replaceChildren(...slugs.map((slug) => element('option', { value: slug, textContent: slug })));
            select.value = this.#slug;
        }
        root.hidden = slugs.length === 0;
        if (!slugs.includes(this.#slug)) {
            this.#choose(slugs[0] ?? '');
            return;
        }
        this.#told = canvases.find(({ slug }) => slug === this.#slug) ?? null;
        if (this.#patcher?.isBusy !== true) {
            this.#take();
        }
    }

    close() {
        this.#patcher?.close();
    }

    /** @param {string} slug */
    #choose(slug) {
        const { api, store, environment } = this.#services;
        this.#patcher?.close();
        this.#slug = slug;
        this.#told = store.canvases.find((canvas) => canvas.slug === slug) ?? null;
        const send = async (/** @type {Record<string, any>} */ patch) => {
            const canvas = await store.changeCanvas(slug, () => api.patch(`/canvases/${slug}`, patch));
            if (slug === this.#slug) {
                this.#told = canvas;
            }
        };
        const patcher = new Patcher(send, environment, {
            onSettled: () => {
                if (patcher === this.#patcher) {
                    this.#settle();
                }
            },
            onError: (error) => this.#fail(slug, /** @type {any} */ (error)),
        });
        this.#patcher = patcher;
        // Another canvas's rows are other rows.
        this.#mappings = new Mappings();
        this.#list.show([]);
        this.#parts.status.textContent = '';
        this.#services.texts.unbind(this.#parts.status);
        this.#parts.canvas.value = slug;
        this.#take();
    }

    /** Take what the server has. */
    #take() {
        this.#mappings.take(this.#told?.audio?.mappings ?? []);
        this.#parts.enabled.checked = this.#told?.audio?.enabled !== false;
        this.#show();
    }

    #settle() {
        const { texts } = this.#services;
        texts.bind(this.#parts.status, this.#isRefused ? 'canvases.not-saved' : 'canvases.saved');
        if (!this.#isRefused) {
            // What was refused stays, so that it can be mended.
            this.#take();
        }
        this.#isRefused = false;
    }

    /**
     * @param {string} slug
     * @param {import('../api.js').ApiError} error
     */
    #fail(slug, error) {
        const message = tell(error, this.#services.texts);
        const place = placeOf(error.field);
        const row = place === null ? undefined : this.#mappings.rows[place.index];
        const fields = this.#fields.get(row?.key ?? '') ?? [];
        const wrong = fields.find(({ name }) => name === place?.name);
        this.#isRefused = true;
        if (wrong === undefined || slug !== this.#slug) {
            this.#services.notify(`${slug}: ${message}`, 'danger');
        } else {
            wrong.complain(message);
        }
    }

    /** @param {() => void} change */
    #edit(change) {
        change();
        this.#send({ mappings: this.#mappings.list() });
        this.#show();
    }

    /** @param {Record<string, unknown>} audio */
    #send(audio) {
        this.#sendAll({ audio });
    }

    /** @param {Record<string, unknown>} patch */
    #sendAll(patch) {
        this.#services.texts.bind(this.#parts.status, 'canvases.saving');
        this.#patcher?.change(patch);
    }

    #show() {
        const { add, none, rows } = this.#parts;
        this.#list.show(this.#mappings.rows);
        rows.hidden = this.#mappings.rows.length === 0;
        none.hidden = !rows.hidden;
        add.disabled = !this.#mappings.hasRoom;
    }

    /** @param {Row} row */
    #makeRow(row) {
        const { texts } = this.#services;
        const { key } = row;
        const fields = settingsOf(row).map((setting) => {
            const change = (/** @type {import('./mapping.js').Value} */ value) =>
                this.#edit(() => this.#mappings.change(key, setting.name, value));
            return new Field(setting, texts, change, `sound.${setting.name}`);
        });
        this.#fields.set(key, fields);
        const remove = element('button', { className: 'button button-small', type: 'button' });
        texts.bind(remove, 'sound.remove');
        remove.addEventListener('click', () => {
            this.#parts.add.focus();
            this.#edit(() => this.#mappings.remove(key));
        });
        const arrow = element('span', { className: 'mapping-arrow', 'aria-hidden': 'true', textContent: '→' });
        const [feature, parameter, ...numbers] = fields.map((field) => field.root);
        const head = element('div', { className: 'mapping-head' }, feature, arrow, parameter, remove);
        const root = element('li', { className: 'mapping' }, head, ...numbers);
        return {
            root,
            update: (/** @type {Row} */ now) => {
                const values = /** @type {Record<string, any>} */ (now);
                fields.forEach((field) => field.show(values[field.name]));
            },
            close: () => void this.#fields.delete(key),
        };
    }
}

/** @param {import('../texts.js').Texts} texts */
function build(texts) {
    const id = newId('mapping');
    const heading = element('h3', { className: 'sound-heading' });
    texts.bind(heading, 'sound.mapping');
    const canvas = element('select', { id, className: 'select-quiet' });
    const label = element('label', { htmlFor: id });
    texts.bind(label, 'sound.canvas');
    const enabled = element('input', { type: 'checkbox', id: `${id}-enabled` });
    const enabledLabel = element('label', { htmlFor: `${id}-enabled` });
    texts.bind(enabledLabel, 'sound.enabled');
    const choice = element('div', { className: 'sound-choice' }, label, canvas);
    const check = element('div', { className: 'sound-check' }, enabled, enabledLabel);
    const rows = element('ul', { className: 'mappings' });
    const none = element('p', { className: 'empty', hidden: true });
    texts.bind(none, 'sound.no-mappings');
    const add = element('button', { className: 'button button-small', type: 'button' });
    texts.bind(add, 'sound.add');
    const reset = element('button', { className: 'button button-small', type: 'button' });
    texts.bind(reset, 'sound.reset');
    const status = element('span', { className: 'field-note', role: 'status' });
    const bar = element('div', { className: 'sound-bar' }, add, reset, status);
    const root = element('div', { className: 'sound-mapping' }, heading, choice, check, rows, none, bar);
    return { root, canvas, enabled, rows, none, add, reset, status };
}
