/**
 * A WebSocket that comes back by itself: attempts, backoff and liveness. It does not know what is
 * said on it. When it may open is up to the page's gate, after its own backoff.
 *
 * Whether the peer is alive is told by its messages alone: a page sees no WebSocket pings.
 */

import { Backoff } from './backoff.js';
import { OPEN as OPEN_GATE } from './gate.js';

/**
 * @typedef {object} SocketHandlers
 * @property {() => void} onOpen
 * @property {(data: unknown) => void} onMessage
 * @property {() => void} onTick The connection is open and it is time to ask the peer for a sign of life.
 * @property {(code?: number) => void} onDown The connection is lost; another attempt follows unless `onEnd` is called.
 *     With the close code, where the peer has closed it or it broke.
 * @property {(code: number) => void} onEnd The peer wants no other attempt; why, as a close code.
 */

export const TICK_MS = 10_000;

// Silent for this many ticks, though asked in between: gone.
const SILENT_TICKS = 3;

export const PROTOCOL = 1002;
export const POLICY = 1008;
export const NO_SUCH_CANVAS = 4404;

// The peer would refuse again.
const FINAL_CODES = [PROTOCOL, POLICY, NO_SUCH_CANVAS];

const OPEN = 1;

export class ReconnectingSocket {
    #url;
    #protocols;
    #handlers;
    #environment;
    #backoff;
    #pass;
    /** @type {WebSocket | null} */
    #socket = null;
    #listening = new AbortController();
    /** @type {any} */
    #retryTimer = null;
    /** @type {any} */
    #tickTimer = null;
    #silentTicks = 0;
    #hasHeard = false;

    /**
     * @param {string} url
     * @param {string[]} protocols
     * @param {SocketHandlers} handlers
     * @param {import('./environment.js').Environment} environment
     * @param {import('./gate.js').Entrance} [gate] The page's; without one it opens when it wants to.
     */
    constructor(url, protocols, handlers, environment, gate = OPEN_GATE) {
        this.#url = url;
        this.#protocols = protocols;
        this.#handlers = handlers;
        this.#environment = environment;
        this.#backoff = new Backoff(() => environment.random());
        this.#pass = gate.join(() => this.#attempt());
    }

    /** Connect, and keep connected until `close` or a final refusal. */
    open() {
        this.close();
        this.#pass.ask();
    }

    /** Leave for good; nothing is called afterwards. */
    close() {
        this.#environment.clearTimer(this.#retryTimer);
        this.#pass.leave();
        this.#leave(1000, 'leaving');
    }

    /** The peer has done its work: the next attempt may come quickly. */
    proven() {
        this.#backoff.reset();
        this.#pass.proven();
    }

    /**
     * Give this connection up and try again after a wait.
     *
     * @param {string} reason
     * @param {number} [code] That it was closed with; none where it still stands.
     */
    retry(reason, code) {
        // Not waiting for the closing handshake: a dead peer does not answer it.
        this.#leave(4000, reason);
        this.#pass.lost();
        this.#retryTimer = this.#environment.setTimer(() => this.#pass.ask(), this.#backoff.nextMs());
        this.#handlers.onDown(code);
    }

    /**
     * Give up: the peer said that it wants no other attempt.
     *
     * @param {number} code Why, as the close code that says the same.
     */
    end(code) {
        this.#leave(1000, 'not wanted');
        this.#pass.leave();
        this.#handlers.onDown(code);
        this.#handlers.onEnd(code);
    }

    /**
     * Send, where the connection is open; otherwise the message is for nobody and is dropped.
     *
     * @param {string | Uint8Array<ArrayBuffer>} data
     */
    send(data) {
        if (this.#socket !== null && this.#socket.readyState === OPEN) {
            this.#socket.send(data);
        }
    }

    #attempt() {
        const socket = this.#environment.openSocket(this.#url, this.#protocols);
        socket.binaryType = 'arraybuffer';
        this.#socket = socket;
        this.#listening = new AbortController();
        const { signal } = this.#listening;
        socket.addEventListener('open', () => this.#handlers.onOpen(), { signal });
        socket.addEventListener('message', (event) => this.#heard(event.data), { signal });
        socket.addEventListener('close', (event) => this.#closed(event.code), { signal });
        this.#silentTicks = 0;
        this.#hasHeard = false;
        this.#tickTimer = this.#environment.setTimer(() => this.#tick(), TICK_MS);
    }

    /** @param {unknown} data */
    #heard(data) {
        this.#silentTicks = 0;
        this.#hasHeard = true;
        this.#handlers.onMessage(data);
    }

    /** @param {number} code */
    #closed(code) {
        if (FINAL_CODES.includes(code)) {
            this.end(code);
        } else {
            this.retry(`closed with ${code}`, code);
        }
    }

    /**
     * Counted in ticks, not by the clock: a sleeping machine or a hidden page runs its timers late,
     * and lateness of our own is no silence of the peer.
     */
    #tick() {
        this.#silentTicks += 1;
        if (this.#silentTicks >= SILENT_TICKS) {
            this.retry('nothing heard');
            return;
        }
        if (this.#hasHeard) {
            // A canvas at rest sends no pictures: that its peer still talks is proof enough.
            this.proven();
        }
        if (this.#socket !== null && this.#socket.readyState === OPEN) {
            this.#handlers.onTick();
        }
        this.#tickTimer = this.#environment.setTimer(() => this.#tick(), TICK_MS);
    }

    /**
     * @param {number} code
     * @param {string} reason
     */
    #leave(code, reason) {
        this.#environment.clearTimer(this.#tickTimer);
        this.#listening.abort();
        this.#socket?.close(code, reason);
        this.#socket = null;
    }
}
