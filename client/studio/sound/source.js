/** Where the sound comes from: a microphone, or a file that is played. */

import { newId } from '../canvases/field.js';
import { element } from '../dom.js';
import { Listener, isOver } from '../../sound/listener.js';
import { clock } from '../format.js';

/** @typedef {import('../../sound/environment.js').SoundEnvironment} SoundEnvironment */

/**
 * @typedef {object} SourceHandlers
 * @property {(features: import('../../sound/features.js').Features) => void} onFeatures
 * @property {() => void} onSilence Nothing is listened to any more.
 */

// The place on the slider: a thousandth of a song is finer than a finger.
const PLACES = 1000;

export class SoundSource {
    #texts;
    #environment;
    #handlers;
    #parts;
    #listener;
    /** @type {HTMLAudioElement | null} */
    #player = null;
    /** @type {(isHeard: boolean) => void} */
    #setHeard = () => {};
    #url = '';
    #closing = new AbortController();

    /**
     * @param {import('../texts.js').Texts} texts
     * @param {SoundEnvironment} environment
     * @param {SourceHandlers} handlers
     */
    constructor(texts, environment, handlers) {
        this.#texts = texts;
        this.#environment = environment;
        this.#handlers = handlers;
        this.#parts = build(texts);
        this.root = this.#parts.root;
        this.#listener = new Listener(
            { onFeatures: handlers.onFeatures, onState: (state) => this.#tell(state) },
            environment,
        );
        this.#listen();
        this.#tell({ state: 'off' });
        void this.#listDevices();
    }

    close() {
        this.#closing.abort();
        this.#listener.stop();
        this.#dropPlayer();
    }

    #listen() {
        const { microphone, file, device, start, input, play, place, loop, heard } = this.#parts;
        for (const radio of [microphone, file]) {
            // The file that was chosen is still in its field, and is not told again.
            radio.addEventListener('change', () => this.#open(file.checked ? input.files?.[0] ?? null : null));
        }
        start.addEventListener('click', () => {
            if (isOver(this.#listener.state)) {
                void this.#listener.listen(device.value || null).then(() => this.#listDevices());
            } else {
                this.#stop();
            }
        });
        device.addEventListener('change', () => {
            if (!isOver(this.#listener.state)) {
                void this.#listener.listen(device.value || null);
            }
        });
        this.#environment.devices?.addEventListener('devicechange', () => void this.#listDevices(), {
            signal: this.#closing.signal,
        });
        input.addEventListener('change', () => this.#open(input.files?.[0] ?? null));
        play.addEventListener('click', () => {
            if (this.#player?.paused === true) {
                this.#player.play().catch(() => {});
            } else {
                this.#player?.pause();
            }
        });
        place.addEventListener('input', () => {
            const player = this.#player;
            if (player !== null && Number.isFinite(player.duration)) {
                player.currentTime = (Number(place.value) / PLACES) * player.duration;
            }
        });
        loop.addEventListener('change', () => {
            if (this.#player !== null) {
                this.#player.loop = loop.checked;
            }
        });
        heard.addEventListener('change', () => this.#setHeard(heard.checked));
    }

    /** @param {File | null} file */
    #open(file) {
        this.#stop();
        if (file === null) {
            return;
        }
        const { loop, heard, play, place } = this.#parts;
        this.#url = URL.createObjectURL(file);
        const player = new Audio(this.#url);
        this.#player = player;
        player.loop = loop.checked;
        this.#setHeard = this.#listener.play(player, heard.checked);
        const { signal } = this.#closing;
        const tellPlaying = () => this.#texts.bind(play, player.paused ? 'sound.play' : 'sound.pause');
        for (const news of ['play', 'pause', 'ended']) {
            player.addEventListener(news, tellPlaying, { signal });
        }
        for (const news of ['pause', 'ended']) {
            player.addEventListener(news, this.#handlers.onSilence, { signal });
        }
        player.addEventListener('timeupdate', () => {
            if (document.activeElement !== place || !player.paused) {
                place.value = String(Math.round((PLACES * player.currentTime) / (player.duration || 1)));
                place.setAttribute('aria-valuetext', clock(1000 * player.currentTime));
            }
        }, { signal });
        this.#parts.player.hidden = false;
        tellPlaying();
    }

    #stop() {
        this.#listener.stop();
        this.#dropPlayer();
        const { microphone, microphoneParts, fileParts } = this.#parts;
        microphoneParts.hidden = !microphone.checked;
        fileParts.hidden = microphone.checked;
    }

    #dropPlayer() {
        if (this.#player !== null) {
            this.#player.pause();
            this.#player.removeAttribute('src');
            this.#player = null;
            this.#setHeard = () => {};
            URL.revokeObjectURL(this.#url);
        }
        this.#parts.player.hidden = true;
    }

    /** @param {import('../../sound/listener.js').SoundState} told */
    #tell(told) {
        const { state, reason } = told;
        const { status, start, root } = this.#parts;
        root.dataset.sound = reason ?? state;
        this.#texts.bind(status, `sound.state.${reason ?? state}`);
        this.#texts.bind(start, isOver(told) ? 'sound.listen' : 'sound.stop');
        status.classList.toggle('is-wrong', state === 'failed');
        if (reason === 'undecodable') {
            // There is nothing to play, to pause or to seek in.
            this.#dropPlayer();
        }
        if (state !== 'listening') {
            this.#handlers.onSilence();
        }
    }

    /** Browsers name the microphones only once they have given one. */
    async #listDevices() {
        const { device } = this.#parts;
        const devices = (await this.#environment.devices?.enumerateDevices().catch(() => [])) ?? [];
        const microphones = devices.filter(({ kind, deviceId, label }) =>
            kind === 'audioinput' && deviceId !== '' && deviceId !== 'default' && label !== '');
        const chosen = device.value;
        const any = element('option', { value: '' });
        this.#texts.bind(any, 'sound.any-device');
        device.replaceChildren(
            any,
            ...microphones.map(({ deviceId, label }) => element('option', { value: deviceId, textContent: label })),
        );
        if (microphones.some(({ deviceId }) => deviceId === chosen)) {
            device.value = chosen;
        } else if (chosen !== '') {
            // It was pulled out, and is waited for.
            device.append(element('option', { value: chosen, textContent: '…', selected: true }));
        }
    }
}

/** @param {import('../texts.js').Texts} texts */
function build(texts) {
    const id = newId('source');
    const labelled = (/** @type {string} */ key, /** @type {HTMLElement} */ control, className = 'sound-check') => {
        const label = element('label', { htmlFor: control.id });
        texts.bind(label, key);
        return element('div', { className }, control, label);
    };
    const microphone = element('input', { type: 'radio', name: id, id: `${id}-microphone`, checked: true });
    const file = element('input', { type: 'radio', name: id, id: `${id}-file` });
    const legend = element('legend');
    texts.bind(legend, 'sound.source');
    const choice = element(
        'fieldset', { className: 'sound-source' }, legend,
        labelled('sound.microphone', microphone), labelled('sound.file', file),
    );
    const device = element('select', { id: `${id}-device` });
    const start = element('button', { className: 'button button-primary', type: 'button' });
    const deviceLabel = element('label', { htmlFor: device.id });
    texts.bind(deviceLabel, 'sound.device');
    const microphoneParts = element('div', { className: 'sound-choice' }, deviceLabel, device, start);
    const { fileParts, player, ...fileControls } = buildFile(id, texts, labelled);
    const status = element('p', { className: 'field-note sound-status', role: 'status' });
    const root = element('div', { className: 'sound-input' }, choice, microphoneParts, fileParts, status);
    return { root, microphone, file, device, start, microphoneParts, fileParts, player, status, ...fileControls };
}

/**
 * @param {string} id
 * @param {import('../texts.js').Texts} texts
 * @param {(key: string, control: HTMLElement) => HTMLElement} labelled
 */
function buildFile(id, texts, labelled) {
    const input = element('input', { type: 'file', id: `${id}-input`, accept: 'audio/*' });
    const play = element('button', { className: 'button', type: 'button' });
    const place = element('input', { type: 'range', min: '0', max: String(PLACES), value: '0' });
    texts.bind(input, 'sound.choose-file', { attribute: 'aria-label' });
    texts.bind(place, 'sound.place', { attribute: 'aria-label' });
    const loop = element('input', { type: 'checkbox', id: `${id}-loop`, checked: true });
    const heard = element('input', { type: 'checkbox', id: `${id}-heard`, checked: true });
    const player = element(
        'div', { className: 'sound-player', hidden: true },
        play, place, labelled('sound.loop', loop), labelled('sound.aloud', heard),
    );
    const fileParts = element('div', { className: 'sound-file', hidden: true }, input, player);
    return { fileParts, player, input, play, place, loop, heard };
}
