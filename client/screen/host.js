/**
 * The worker's side: screens made, called and heard by messages. It runs wherever a port is, so that
 * tests need no worker.
 */

import { Decoder } from '../paint/decoder.js';
import { LocalScreen } from './local.js';
import { Outbox } from './outbox.js';

/** @typedef {import('./messages.js').ToWorker} ToWorker */
/** @typedef {import('./messages.js').ToPage} ToPage */
/** @typedef {import('./messages.js').Port} Port */
/** @typedef {import('../stream/gate.js').Entrance} Entrance */

/** @type {(keyof import('./screen.js').ScreenEvents)[]} */
export const EVENTS = [
    'onHello', 'onStatus', 'onDown', 'onEnd', 'onBox', 'onDrawn', 'onPresented', 'onCorrupt', 'onClock', 'onFigures',
];

/**
 * The page's gate, from here: it is asked and answers by messages.
 *
 * @implements {Entrance}
 */
class RemoteGate {
    #post;
    /** @type {Map<number, () => void>} Who asks, by number. */
    #asking = new Map();
    #passes = 0;

    /** @param {(message: ToPage) => void} post */
    constructor(post) {
        this.#post = post;
    }

    /**
     * @param {() => void} go
     * @returns {import('../stream/gate.js').Pass}
     */
    join(go) {
        this.#passes += 1;
        const pass = this.#passes;
        let isProven = false;
        const say = (/** @type {import('./messages.js').Plea} */ name) => {
            // Whoever has left since it asked must not be let go by an answer that is on its way.
            this.#asking.delete(pass);
            isProven = name === 'proven';
            this.#post({ kind: 'plea', pass, name });
        };
        return {
            ask: () => {
                say('ask');
                this.#asking.set(pass, go);
            },
            lost: () => say('lost'),
            // Every frame is a proof, and the page needs one.
            proven: () => isProven || say('proven'),
            leave: () => say('leave'),
        };
    }

    /** @param {number} pass */
    letGo(pass) {
        const go = this.#asking.get(pass);
        this.#asking.delete(pass);
        go?.();
    }
}

export class Host {
    #port;
    #environment;
    #makeScreen;
    #gate;
    #outbox;
    #decoder;
    /** @type {string[]} */
    #formats = [];
    /** @type {Map<number, import('./screen.js').Screen>} */
    #screens = new Map();

    /**
     * @param {Port} port To the page.
     * @param {import('../stream/environment.js').Environment} environment
     * @param {(canvas: OffscreenCanvas, options: import('./screen.js').ScreenOptions,
     *     events: Partial<import('./screen.js').ScreenEvents>,
     *     services: import('./screen.js').ScreenServices) => import('./screen.js').Screen} [makeScreen]
     */
    constructor(port, environment, makeScreen = (...made) => new LocalScreen(...made)) {
        this.#port = port;
        this.#environment = environment;
        this.#makeScreen = makeScreen;
        this.#gate = new RemoteGate((message) => this.#post(message));
        this.#outbox = new Outbox(environment, (news, bitmaps) => this.#post({ kind: 'news', news, bitmaps }));
        this.#decoder = new Decoder(environment, (counts) => this.#outbox.count(counts));
        port.addEventListener('message', ({ data }) => this.#take(data));
    }

    /** @param {ToWorker} message */
    #take(message) {
        switch (message.kind) {
            case 'probe':
                void this.#probe();
                break;
            case 'create':
                this.#create(message);
                break;
            case 'call':
                this.#call(message);
                break;
            case 'go':
                this.#gate.letGo(message.pass);
                break;
            case 'ping':
                this.#post({ kind: 'pong' });
                break;
        }
    }

    /** Try everything that screens need; what is missing here is for the page's own thread to do. */
    async #probe() {
        try {
            // Some browsers have the class, and no 2D context for it.
            if (new OffscreenCanvas(1, 1).getContext('2d') === null) {
                throw new Error('no 2D context');
            }
            this.#formats = await this.#decoder.formats();
            if (!this.#decoder.canDecode('jpeg')) {
                throw new Error('not even JPEG is decoded');
            }
            this.#post({ kind: 'able', formats: this.#formats });
        } catch (error) {
            this.#post({ kind: 'unable', reason: String(error) });
        }
    }

    /** @param {Extract<ToWorker, { kind: 'create' }>} message */
    #create({ id, canvas, options, wanted }) {
        const tellers = EVENTS.filter((name) => wanted.includes(name)).map((name) => [
            name,
            (/** @type {any[]} */ ...values) => this.#outbox.tell({ id, name, values }),
        ]);
        const services = {
            environment: this.#environment,
            decoder: this.#decoder,
            formats: this.#formats,
            gate: this.#gate,
        };
        this.#screens.set(id, this.#makeScreen(canvas, options, Object.fromEntries(tellers), services));
    }

    /** @param {Extract<ToWorker, { kind: 'call' }>} message */
    #call({ id, name, value }) {
        const screen = this.#screens.get(id);
        if (name === 'close') {
            this.#screens.delete(id);
        }
        screen?.[name](value);
    }

    /** @param {ToPage} message */
    #post(message) {
        this.#port.postMessage(message);
    }
}
