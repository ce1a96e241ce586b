/** The studio's sound: what it listens to, what is heard of it, which canvases are told, and what they make of it. */

import { browserSound } from '../../sound/environment.js';
import { SILENCE } from '../../sound/features.js';
import { Pacer } from '../../sound/pacer.js';
import { newId } from '../canvases/field.js';
import { element } from '../dom.js';
import { Batch } from '../frames.js';
import { MappingEditor } from './mapping-editor.js';
import { Meters } from './meters.js';
import { SoundSource } from './source.js';
import { Targets } from './targets.js';
import { TEXTS } from './texts.js';

/**
 * @typedef {import('./mapping-editor.js').EditorServices & {
 *     canvases: Pick<import('../canvases/panel.js').CanvasesPanel, 'send' | 'takesAudio'>,
 *     sound?: import('../../sound/environment.js').SoundEnvironment,
 * }} SoundServices
 */

// How often the page looks whether its canvases still take what is heard.
const LOOK_MS = 1000;

export class SoundPanel {
    #services;
    #meters;
    #source;
    #editor;
    #pacer;
    #targets;
    #parts;
    /** @type {any} */
    #timer = null;
    #closing = new AbortController();

    /**
     * @param {HTMLElement} root Holds its title.
     * @param {SoundServices} services
     */
    constructor(root, services) {
        this.#services = services;
        const { store, texts, environment, canvases } = services;
        texts.add(TEXTS);
        const sound = services.sound ?? browserSound();
        this.#parts = build(texts);
        this.#targets = new Targets(canvases);
        this.#pacer = new Pacer((message) => this.#targets.send(message), sound);
        this.#meters = new Meters(texts, sound.nowMs);
        this.#editor = new MappingEditor(services);
        this.#source = new SoundSource(texts, sound, {
            onFeatures: (features) => {
                this.#meters.show(features);
                this.#pacer.offer(features);
            },
            onSilence: () => {
                this.#meters.show(SILENCE, true);
                this.#pacer.silence();
            },
        });
        const { promise, sending } = this.#parts;
        const listening = element(
            'div', { className: 'sound-listening' }, this.#source.root, this.#meters.root, sending,
        );
        root.append(promise, element('div', { className: 'sound-grid' }, listening, this.#editor.root));
        const { signal } = this.#closing;
        const canvasesBatch = new Batch(() => this.#follow(), (callback) => environment.requestFrame(callback));
        store.addEventListener('canvases', canvasesBatch.request, { signal });
        store.addEventListener('selection', () => this.#aim(), { signal });
        for (const control of [this.#parts.isOn, this.#parts.selected, this.#parts.all]) {
            control.addEventListener('change', () => this.#aim());
        }
        this.#follow();
        this.#look();
    }

    close() {
        this.#closing.abort();
        this.#services.environment.clearTimer(this.#timer);
        this.#source.close();
        this.#editor.close();
    }

    #follow() {
        this.#editor.follow();
        this.#aim();
    }

    /** Connections come and go without a word to this panel. */
    #look() {
        this.#aim();
        this.#timer = this.#services.environment.setTimer(() => this.#look(), LOOK_MS);
    }

    /** Find out who is told what is heard. */
    #aim() {
        const { store, texts } = this.#services;
        const { isOn, all, note } = this.#parts;
        const slugs = store.canvases.map(({ slug }) => slug);
        const wanted = slugs.filter((slug) => all.checked || store.selection.has(slug));
        const { told, deaf } = this.#targets.aim(isOn.checked ? wanted : []);
        if (!isOn.checked) {
            texts.bind(note, 'sound.sends-nothing');
        } else if (wanted.length === 0) {
            texts.bind(note, 'sound.no-target');
        } else if (deaf.length > 0) {
            texts.bind(note, 'sound.deaf', { values: { names: deaf.join(', ') } });
        } else {
            texts.bind(note, 'sound.sends-to', { values: { names: told.join(', ') } });
        }
    }
}

/** @param {import('../texts.js').Texts} texts */
function build(texts) {
    const id = newId('sending');
    const promise = element('p', { className: 'field-note sound-promise' });
    texts.bind(promise, 'sound.promise');
    const check = (/** @type {string} */ key, /** @type {HTMLInputElement} */ input) => {
        const label = element('label', { htmlFor: input.id });
        texts.bind(label, key);
        return element('div', { className: 'sound-check' }, input, label);
    };
    const isOn = element('input', { type: 'checkbox', id: `${id}-on`, checked: true });
    const selected = element('input', { type: 'radio', name: id, id: `${id}-selected` });
    const all = element('input', { type: 'radio', name: id, id: `${id}-all`, checked: true });
    const legend = element('legend');
    texts.bind(legend, 'sound.goes-to');
    const note = element('p', { className: 'field-note', role: 'status' });
    const sending = element(
        'fieldset', { className: 'sound-sending' }, legend,
        check('sound.send', isOn), check('sound.to-all', all), check('sound.to-selected', selected), note,
    );
    return { promise, sending, isOn, selected, all, note };
}
