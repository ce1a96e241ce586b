/**
 * Listens to a microphone or to a file, and tells what is heard fifty times a second. Nothing is recorded: the sound
 * stays in the browser's audio graph, and only numbers about a moment come out.
 */

import { browserSound } from './environment.js';
import { Analysis } from './features.js';

/**
 * @typedef {'refused' | 'absent' | 'busy' | 'insecure' | 'lost' | 'unsupported' | 'undecodable'} Reason Why nothing
 *     is heard: nobody gave leave; there is no (such) microphone; another program has it; browsers give none to a page
 *     that did not come over HTTPS; it was pulled out; this browser cannot; the file is no sound that it knows.
 */

/**
 * @typedef {object} SoundState
 * @property {'off' | 'starting' | 'waiting' | 'listening' | 'failed'} state Waiting: for the first click or key,
 *     without which browsers let no page hear.
 * @property {Reason} [reason] Of a failure. What is absent, busy or lost is tried again by itself.
 */

/**
 * @typedef {object} ListenerHandlers
 * @property {(features: import('./features.js').Features) => void} onFeatures
 * @property {(state: SoundState) => void} onState
 */

/**
 * @typedef {object} Source
 * @property {AudioNode} node
 * @property {boolean} isHeard Whether it also goes to the loudspeakers.
 * @property {() => void} close
 */

// Fifty moments a second, and a window in which the bass has some bins: 43 ms at 48 kHz.
const PERIOD_MS = 20;
const FFT_SIZE = 2048;

// Whoever pulls out a plug puts it back soon, and not every browser says that devices have changed.
const RETRY_MS = 5000;

/** What the errors of `getUserMedia` mean. @type {Record<string, Reason>} */
const REASONS = {
    NotAllowedError: 'refused',
    SecurityError: 'refused',
    NotFoundError: 'absent',
    OverconstrainedError: 'absent',
    NotReadableError: 'busy',
    AbortError: 'busy',
};

// What is waited for, and asked for again by itself.
const AWAITED = new Set(['absent', 'busy', 'lost']);

/**
 * Whether nothing is listened to any more, nor waited for.
 *
 * @param {SoundState} state
 */
export function isOver({ state, reason = 'unsupported' }) {
    return state === 'off' || (state === 'failed' && !AWAITED.has(reason));
}

export class Listener {
    #handlers;
    #environment;
    /** Counts what was asked for: what an older wish brings about is put away again. */
    #turn = 0;
    /** @type {AbortController | null} Of everything that the current wish holds. */
    #hold = null;
    /** @type {any} */
    #retryTimer = null;
    /** @type {SoundState} */
    #state = { state: 'off' };

    /**
     * @param {ListenerHandlers} handlers
     * @param {import('./environment.js').SoundEnvironment} [environment]
     */
    constructor(handlers, environment = browserSound()) {
        this.#handlers = handlers;
        this.#environment = environment;
    }

    get state() {
        return this.#state;
    }

    /**
     * Listen to a microphone until `stop`, and again when it is back.
     *
     * @param {string | null} [deviceId] Null: the one that the browser or the person chooses.
     */
    async listen(deviceId = null) {
        this.#begin();
        await this.#ask(deviceId);
    }

    /** @param {string | null} deviceId */
    async #ask(deviceId) {
        const { devices, isSecure } = this.#environment;
        const turn = this.#turn;
        if (devices === null) {
            this.#fail(isSecure ? 'unsupported' : 'insecure');
            return;
        }
        try {
            const stream = await devices.getUserMedia({ audio: plainSound(deviceId), video: false });
            this.#attach(turn, (context) => this.#microphone(stream, context, deviceId), () => stopTracks(stream));
        } catch (error) {
            if (turn === this.#turn) {
                this.#failMicrophone(reasonOf(error), deviceId);
            }
        }
    }

    /**
     * Listen to what a media element plays, until `stop`. Its element can be made a source only once.
     *
     * @param {HTMLMediaElement} player
     * @param {boolean} isHeard Whether the loudspeakers play it, too.
     * @returns {(isHeard: boolean) => void} Changes that.
     */
    play(player, isHeard) {
        this.#begin();
        const turn = this.#turn;
        /** @type {GainNode | null} */
        let volume = null;
        this.#attach(turn, (context) => {
            volume = context.createGain();
            volume.gain.value = isHeard ? 1 : 0;
            const node = context.createMediaElementSource(player);
            node.connect(volume);
            volume.connect(context.destination);
            return node;
        }, () => player.pause());
        player.addEventListener('error', () => this.#fail('undecodable'), { signal: this.#hold?.signal });
        // A browser that refuses leaves it paused, where whoever sees it can start it.
        player.play().catch(() => {});
        return (isNowHeard) => {
            if (volume !== null) {
                volume.gain.value = isNowHeard ? 1 : 0;
            }
        };
    }

    /** Give everything back. */
    stop() {
        this.#release();
        this.#tell({ state: 'off' });
    }

    #begin() {
        this.#renew();
        this.#tell({ state: 'starting' });
    }

    /** Begin anew with nothing in hand. */
    #renew() {
        this.#release();
        this.#hold = new AbortController();
    }

    #release() {
        this.#turn += 1;
        this.#environment.clearTimer(this.#retryTimer);
        this.#hold?.abort();
        this.#hold = null;
    }

    /**
     * @param {MediaStream} stream
     * @param {AudioContext} context
     * @param {string | null} deviceId
     */
    #microphone(stream, context, deviceId) {
        for (const track of stream.getAudioTracks()) {
            track.addEventListener('ended', () => this.#failMicrophone('lost', deviceId), {
                signal: this.#hold?.signal,
            });
        }
        return context.createMediaStreamSource(stream);
    }

    /**
     * Have a source analysed.
     *
     * @param {number} turn
     * @param {(context: AudioContext) => AudioNode} connect
     * @param {() => void} close Gives the source back.
     */
    #attach(turn, connect, close) {
        const signal = this.#hold?.signal;
        if (turn !== this.#turn || signal === undefined) {
            close();
            return;
        }
        signal.addEventListener('abort', close);
        let context;
        try {
            context = this.#environment.openContext();
        } catch {
            this.#fail('unsupported');
            return;
        }
        const opened = context;
        signal.addEventListener('abort', () => void opened.close().catch(() => {}));
        const analyser = context.createAnalyser();
        analyser.fftSize = FFT_SIZE;
        analyser.smoothingTimeConstant = 0;
        connect(context).connect(analyser);
        this.#wake(context, signal);
        this.#analyse(context, analyser, signal);
    }

    /**
     * Browsers keep a page's sound asleep until somebody has touched it.
     *
     * @param {AudioContext} context
     * @param {AbortSignal} signal
     */
    #wake(context, signal) {
        const resume = () => {
            if (context.state !== 'running') {
                context.resume().catch(() => {});
            }
        };
        const tell = () => {
            if (context.state !== 'closed') {
                this.#tell({ state: context.state === 'running' ? 'listening' : 'waiting' });
            }
        };
        for (const gesture of ['pointerdown', 'keydown', 'touchend']) {
            this.#environment.gestures.addEventListener(gesture, resume, { signal });
        }
        context.addEventListener('statechange', tell, { signal });
        resume();
        tell();
    }

    /**
     * @param {AudioContext} context
     * @param {AnalyserNode} analyser
     * @param {AbortSignal} signal
     */
    #analyse(context, analyser, signal) {
        const analysis = new Analysis({ sampleRate: context.sampleRate, fftSize: FFT_SIZE });
        const samples = new Float32Array(FFT_SIZE);
        const spectrumDb = new Float32Array(analyser.frequencyBinCount);
        const stop = this.#environment.tick(() => {
            if (context.state === 'running' && !signal.aborted) {
                analyser.getFloatTimeDomainData(samples);
                analyser.getFloatFrequencyData(spectrumDb);
                this.#handlers.onFeatures(analysis.take(samples, spectrumDb, this.#environment.nowMs()));
            }
        }, PERIOD_MS);
        signal.addEventListener('abort', stop);
    }

    /**
     * @param {Reason} reason
     * @param {string | null} deviceId
     */
    #failMicrophone(reason, deviceId) {
        this.#fail(reason);
        if (!AWAITED.has(reason)) {
            return;
        }
        // A new hold: what waits for the microphone ends with the next wish.
        this.#hold = new AbortController();
        // That it is tried again every few seconds is no news: only what comes of it is told.
        const again = () => {
            this.#renew();
            void this.#ask(deviceId);
        };
        this.#environment.devices?.addEventListener('devicechange', again, { signal: this.#hold.signal });
        this.#retryTimer = this.#environment.setTimer(again, RETRY_MS);
    }

    /** @param {Reason} reason */
    #fail(reason) {
        this.#release();
        this.#tell({ state: 'failed', reason });
    }

    /** @param {SoundState} state */
    #tell(state) {
        if (state.state !== this.#state.state || state.reason !== this.#state.reason) {
            this.#state = state;
            this.#handlers.onState(state);
        }
    }
}

/**
 * The sound as it is: what makes speech clearer on the telephone takes the music away.
 *
 * @param {string | null} deviceId
 * @returns {MediaTrackConstraints}
 */
function plainSound(deviceId) {
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    return deviceId === null ? plain : { ...plain, deviceId: { exact: deviceId } };
}

/** @param {MediaStream} stream */
function stopTracks(stream) {
    for (const track of stream.getTracks()) {
        track.stop();
    }
}

/** @param {unknown} error */
function reasonOf(error) {
    const { name } = /** @type {Error} */ (error);
    return REASONS[name] ?? 'unsupported';
}
