/** The list of canvases, kept current: `GET /canvases` for a quick start, then the events of `/ws`. */

import { EventsSocket } from './events.js';

/** @typedef {import('./wire.js').CanvasRecord} CanvasRecord */

/**
 * @typedef {object} RosterHandlers
 * @property {(canvases: CanvasRecord[]) => void} onCanvases
 * @property {(code: number) => void} [onEnd] The server wants to tell no more; why, as a close code.
 */

export class Roster {
    #events;
    #onCanvases;
    #fetchJson;
    #isCurrent = false;

    /**
     * @param {{ list: string, events: string }} urls
     * @param {RosterHandlers} handlers
     * @param {import('./environment.js').Environment} environment
     * @param {(url: string) => Promise<any>} fetchJson
     * @param {import('./gate.js').Entrance} [gate] The page's.
     */
    constructor(urls, { onCanvases, onEnd }, environment, fetchJson, gate) {
        this.#onCanvases = onCanvases;
        this.#fetchJson = () => fetchJson(urls.list);
        const onEvent = (/** @type {any} */ event) => this.#take(event);
        this.#events = new EventsSocket(urls.events, ['canvases'], { onEvent, onEnd }, environment, gate);
    }

    /** Open the events and ask for the list; the list counts only where no event came before it. */
    async open() {
        this.#events.open();
        const answer = await this.#fetchJson().catch(() => null);
        if (!this.#isCurrent && Array.isArray(answer?.canvases)) {
            this.#onCanvases(answer.canvases);
        }
    }

    close() {
        this.#isCurrent = true;
        this.#events.close();
    }

    /** @param {any} event */
    #take(event) {
        if (event.type === 'canvases' && Array.isArray(event.canvases)) {
            this.#isCurrent = true;
            this.#onCanvases(event.canvases);
        }
    }
}
