/** The events of `/ws`, as JSON: what changes on the server, for as long as the page lives. */

import { ReconnectingSocket } from './socket.js';

/**
 * @typedef {object} EventHandlers
 * @property {(event: any) => void} onEvent A message with a string at `type`; answers to pings are left out.
 * @property {() => void} [onUp] The connection is open; what was missed meanwhile is not told again.
 * @property {() => void} [onDown] It is lost, and comes back by itself unless `onEnd` is called.
 * @property {(code: number) => void} [onEnd] The server wants no other attempt; why, as a close code.
 */

export class EventsSocket {
    #handlers;
    #socket;

    /**
     * @param {string} url
     * @param {string[]} events Which ones: `canvases`, `jobs`, `generation`.
     * @param {EventHandlers} handlers
     * @param {import('./environment.js').Environment} environment
     * @param {import('./gate.js').Entrance} [gate] The page's.
     */
    constructor(url, events, handlers, environment, gate) {
        this.#handlers = handlers;
        this.#socket = new ReconnectingSocket(
            url,
            [],
            {
                onOpen: () => {
                    this.send({ type: 'subscribe', events });
                    handlers.onUp?.();
                },
                onMessage: (data) => this.#take(data),
                onTick: () => this.send({ type: 'ping' }),
                onDown: () => handlers.onDown?.(),
                onEnd: (code) => handlers.onEnd?.(code),
            },
            environment,
            gate,
        );
    }

    open() {
        this.#socket.open();
    }

    close() {
        this.#socket.close();
    }

    /**
     * Send a message; while the connection is down it is for nobody and is dropped.
     *
     * @param {{ type: string } & Record<string, unknown>} message
     */
    send(message) {
        this.#socket.send(JSON.stringify(message));
    }

    /** @param {unknown} data */
    #take(data) {
        const event = parse(data);
        if (typeof event?.type === 'string' && event.type !== 'pong') {
            this.#socket.proven();
            this.#handlers.onEvent(event);
        }
    }
}

/**
 * @param {unknown} data
 * @returns {any} Null where it is no JSON: events that are not understood are left alone.
 */
function parse(data) {
    try {
        return JSON.parse(String(data));
    } catch {
        return null;
    }
}
