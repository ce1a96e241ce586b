/**
 * The page's end of the line to its worker: hands screens' calls over and their events out, lets the
 * worker's sockets ask the page's gate, and finds out when nobody is there any more.
 *
 * Whether the worker lives is told by its answers alone. It ends without a word when the browser runs
 * out of memory, and one that reports an error mostly lives on.
 */

import { reportLater } from '../stream/environment.js';
import { TICK_MS } from '../stream/socket.js';
import { RemoteScreen } from './remote.js';

/** @typedef {import('./messages.js').ToWorker} ToWorker */
/** @typedef {import('./messages.js').ToPage} ToPage */
/** @typedef {Partial<import('./screen.js').ScreenEvents>} Events */

/**
 * @typedef {object} LineServices
 * @property {Pick<import('../stream/environment.js').Environment, 'setTimer' | 'clearTimer'>} environment
 * @property {import('../stream/gate.js').Entrance} gate
 * @property {(counts: import('../paint/decoder.js').BitmapCounts) => void} onBitmaps
 * @property {() => void} onLost The worker answers no more; called once, after every screen's `onDown`.
 */

// Silent for so many questions in a row: gone. Counted, since a page that sleeps asks late.
const SILENT_TICKS = 3;

// After an error: whoever lives answers much sooner, even on a busy machine.
const SUSPECT_MS = 5000;

export class Line {
    #worker;
    #services;
    /** @type {Map<number, Events>} */
    #screens = new Map();
    /** @type {Map<number, import('../stream/gate.js').Pass>} */
    #passes = new Map();
    #created = 0;
    #silentTicks = 0;
    #isLost = false;
    /** @type {any} */
    #tickTimer = null;
    /** @type {any} */
    #suspectTimer = null;

    /**
     * @param {Worker} worker One that has been found able.
     * @param {LineServices} services
     */
    constructor(worker, services) {
        this.#worker = worker;
        this.#services = services;
        worker.addEventListener('message', ({ data }) => this.#take(data));
        worker.addEventListener('error', () => this.#suspect());
        worker.addEventListener('messageerror', () => this.#suspect());
        this.#tickTimer = services.environment.setTimer(() => this.#tick(), TICK_MS);
    }

    /**
     * Make a screen in the worker.
     *
     * @param {HTMLCanvasElement} canvas Belongs to the worker from now on.
     * @param {import('./screen.js').ScreenOptions} options
     * @param {Events} events
     * @returns {RemoteScreen}
     */
    create(canvas, options, events) {
        this.#created += 1;
        const id = this.#created;
        const offscreen = canvas.transferControlToOffscreen();
        this.#screens.set(id, events);
        this.#post({ kind: 'create', id, canvas: offscreen, options, wanted: Object.keys(events) }, [offscreen]);
        return new RemoteScreen((name, value) => {
            if (this.#screens.has(id)) {
                this.#post({ kind: 'call', id, name, value });
            }
            if (name === 'close') {
                // What the worker has told meanwhile comes too late.
                this.#screens.delete(id);
            }
        });
    }

    /** @param {ToPage} message */
    #take(message) {
        this.#silentTicks = 0;
        this.#services.environment.clearTimer(this.#suspectTimer);
        switch (message.kind) {
            case 'news':
                message.news.forEach((news) => this.#tell(news));
                if (message.bitmaps !== null) {
                    this.#services.onBitmaps(message.bitmaps);
                }
                break;
            case 'plea':
                this.#plead(message);
                break;
        }
    }

    /** @param {import('./messages.js').News} news */
    #tell({ id, name, values }) {
        /** @type {any} */
        const events = this.#screens.get(id);
        try {
            events?.[name]?.(...values);
        } catch (error) {
            // No reason to keep other screens from their news.
            reportLater(this.#services.environment, error);
        }
    }

    /** @param {Extract<ToPage, { kind: 'plea' }>} message */
    #plead({ pass: number, name }) {
        const pass =
            this.#passes.get(number) ?? this.#services.gate.join(() => this.#post({ kind: 'go', pass: number }));
        if (name === 'leave') {
            // Most of those who leave do not return.
            this.#passes.delete(number);
        } else {
            this.#passes.set(number, pass);
        }
        pass[name]();
    }

    #tick() {
        this.#silentTicks += 1;
        if (this.#silentTicks > SILENT_TICKS) {
            this.#lose();
            return;
        }
        this.#post({ kind: 'ping' });
        this.#tickTimer = this.#services.environment.setTimer(() => this.#tick(), TICK_MS);
    }

    #suspect() {
        const { environment } = this.#services;
        environment.clearTimer(this.#suspectTimer);
        this.#suspectTimer = environment.setTimer(() => this.#lose(), SUSPECT_MS);
        this.#post({ kind: 'ping' });
    }

    #lose() {
        if (this.#isLost) {
            return;
        }
        this.#isLost = true;
        const { environment, onLost } = this.#services;
        environment.clearTimer(this.#tickTimer);
        environment.clearTimer(this.#suspectTimer);
        this.#worker.terminate();
        this.#passes.forEach((pass) => pass.leave());
        this.#screens.forEach((events) => events.onDown?.());
        this.#screens.clear();
        onLost();
    }

    /**
     * @param {ToWorker} message
     * @param {Transferable[]} [transfer]
     */
    #post(message, transfer = []) {
        this.#worker.postMessage(message, transfer);
    }
}
