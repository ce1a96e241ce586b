/**
 * The settings of one canvas beside its live picture: every change is sent as it is made and seen at once. What others
 * change meanwhile appears, except where something is being typed.
 */

import { element } from '../dom.js';
import { tell } from '../problems.js';
import { CropFrame } from './crop-frame.js';
import { makeDialog } from './dialog.js';
import { Field } from './field.js';
import { Patcher, merged } from './patcher.js';
import { SETTINGS, UNPROCESSED, patchOf, valueOf } from './settings.js';

/** @typedef {import('../store.js').StudioCanvas} StudioCanvas */

/**
 * @typedef {object} DialogServices
 * @property {import('../store.js').Store} store
 * @property {import('../api.js').Api} api
 * @property {import('../texts.js').Texts} texts
 * @property {import('../../screen/screens.js').Screens} screens
 * @property {(message: string, kind?: any) => void} notify
 * @property {{ setTimer: (callback: () => void, delayMs: number) => any, clearTimer: (handle: any) => void }} timers
 */

/** What the groups of settings are called, in their order. */
const GROUPS = /** @type {(keyof typeof SETTINGS)[]} */ (['picture', 'transition', 'crop', 'colours', 'pixels']);

export class SettingsDialog {
    #services;
    #slug;
    /** As the server told it, with what was changed here since. @type {StudioCanvas} */
    #canvas;
    /** As the server told it last. @type {StudioCanvas} */
    #told;
    #patcher;
    #frame;
    /** @type {Field[]} */
    #fields = [];
    #status;
    #failure = element('p', { className: 'form-error', role: 'alert' });
    #isRefused = false;
    #closing = new AbortController();

    /**
     * @param {StudioCanvas} canvas
     * @param {DialogServices} services
     */
    constructor(canvas, services) {
        this.#services = services;
        this.#canvas = canvas;
        this.#told = canvas;
        this.#slug = canvas.slug;
        const { texts, api, store, screens, timers } = services;
        const send = async (/** @type {Record<string, any>} */ patch) => {
            const ask = () => api.patch(`/canvases/${this.#slug}`, patch);
            this.#told = await store.changeCanvas(this.#slug, ask);
        };
        this.#patcher = new Patcher(send, timers, {
            onSettled: () => this.#settle(),
            onError: (error, patch) => this.#fail(/** @type {any} */ (error), patch),
        });
        const dialog = makeDialog(texts, 'canvas-settings', 'canvases.settings-of', { name: this.#slug });
        this.#status = element('p', { className: 'settings-status', role: 'status' });
        this.#frame = new CropFrame(this.#slug, { texts, screens }, (crop) => this.#change({ processing: { crop } }));
        const form = element('div', { className: 'settings-groups' }, ...GROUPS.map((name) => this.#group(name)));
        const bar = element('div', { className: 'settings-bar' }, this.#resetAll(), this.#status);
        const side = element('div', { className: 'settings-side' }, this.#frame.root, bar, this.#failure);
        dialog.append(element('div', { className: 'settings-body' }, side, form));
        dialog.addEventListener('close', () => this.#close());
        // What was typed and left: what the server has is shown again.
        form.addEventListener('focusout', () => this.#show());
        store.addEventListener('canvases', () => this.#follow(dialog), { signal: this.#closing.signal });
        dialog.showModal();
        this.#show();
    }

    /** @param {keyof typeof SETTINGS} name */
    #group(name) {
        const { texts } = this.#services;
        const legend = element('legend');
        texts.bind(legend, `canvases.group.${name}`);
        const fields = SETTINGS[name].map((setting) => {
            const change = (/** @type {import('./settings.js').Value} */ value) => {
                this.#change(patchOf(this.#canvas, setting, value));
            };
            return new Field(setting, texts, change);
        });
        this.#fields.push(...fields);
        return element('fieldset', { className: 'settings-group' }, legend, ...fields.map((field) => field.root));
    }

    #resetAll() {
        const button = element('button', { className: 'button', type: 'button' });
        this.#services.texts.bind(button, 'canvases.reset-processing');
        button.addEventListener('click', () => {
            for (const field of this.#fields.filter(({ name }) => name.startsWith('processing.'))) {
                field.complain(null);
            }
            this.#change({ processing: UNPROCESSED });
        });
        return button;
    }

    /** @param {Record<string, any>} patch */
    #change(patch) {
        this.#services.texts.bind(this.#status, 'canvases.saving');
        this.#failure.textContent = '';
        this.#canvas = /** @type {StudioCanvas} */ (merged(this.#canvas, patch));
        this.#patcher.change(patch);
        this.#show();
    }

    #settle() {
        const { texts } = this.#services;
        texts.bind(this.#status, this.#isRefused ? 'canvases.not-saved' : 'canvases.saved');
        this.#isRefused = false;
        this.#canvas = this.#told;
        this.#show();
    }

    /**
     * @param {import('../api.js').ApiError} error
     * @param {Record<string, any>} patch
     */
    #fail(error, patch) {
        const { texts, notify } = this.#services;
        const { field: name = null } = error;
        const message = tell(error, texts);
        const field = this.#fields.find((each) => name !== null && isOf(name, each.name));
        this.#isRefused = true;
        if (this.#closing.signal.aborted) {
            notify(`${this.#slug}: ${message}`, 'danger');
        } else if (field === undefined) {
            // Toasts lie behind a dialog.
            this.#failure.textContent = `${name ?? Object.keys(patch).join(', ')}: ${message}`;
        } else {
            field.complain(message);
        }
    }

    /** @param {HTMLDialogElement} dialog */
    #follow(dialog) {
        const told = this.#services.store.canvases.find(({ slug }) => slug === this.#slug);
        if (told === undefined) {
            dialog.close();
            return;
        }
        this.#told = told;
        if (!this.#patcher.isBusy) {
            this.#canvas = told;
            this.#show();
        }
    }

    #show() {
        for (const field of this.#fields) {
            field.show(valueOf(this.#canvas, field.setting));
        }
        this.#frame.show(this.#canvas.processing ?? {});
    }

    #close() {
        this.#closing.abort();
        this.#patcher.close();
        this.#frame.close();
    }
}

/**
 * Whether the server means this setting: it names the field, or the whole that the field is a part of.
 *
 * @param {string} named
 * @param {string} name
 */
function isOf(named, name) {
    return named === name || name.startsWith(`${named}.`) || named.startsWith(`${name}.`);
}
