/** The list of canvases, kept current: `GET /canvases` for a quick start, then the events of `/ws`. */

import { ReconnectingSocket } from './socket.js';

/** @typedef {import('./wire.js').CanvasRecord} CanvasRecord */

export class Roster {
    #socket;
    #onCanvases;
    #fetchJson;
    #isCurrent = false;

    /**
     * @param {{ list: string, events: string }} urls
     * @param {(canvases: CanvasRecord[]) => void} onCanvases
     * @param {import('./environment.js').Environment} environment
     * @param {(url: string) => Promise<any>} fetchJson
     */
    constructor(urls, onCanvases, environment, fetchJson) {
        this.#onCanvases = onCanvases;
        this.#fetchJson = () => fetchJson(urls.list);
        this.#socket = new ReconnectingSocket(
            urls.events,
            [],
            {
                onOpen: () => {},
                onMessage: (data) => this.#take(data),
                onTick: () => this.#socket.send(JSON.stringify({ type: 'ping' })),
                onDown: () => {},
                onEnd: () => {},
            },
            environment,
        );
    }

    /** Open the events and ask for the list; the list counts only where no event came before it. */
    async open() {
        this.#socket.open();
        const answer = await this.#fetchJson().catch(() => null);
        if (!this.#isCurrent && Array.isArray(answer?.canvases)) {
            this.#onCanvases(answer.canvases);
        }
    }

    close() {
        this.#isCurrent = true;
        this.#socket.close();
    }

    /** @param {unknown} data */
    #take(data) {
        const event = parse(data);
        if (event?.type === 'canvases' && Array.isArray(event.canvases)) {
            this.#isCurrent = true;
            this.#socket.proven();
            this.#onCanvases(event.canvases);
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
