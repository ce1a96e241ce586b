/** A screen that runs in the page's worker: what the page says to it and hears of it travels by messages. */

/** @typedef {import('./screen.js').Screen} Screen */
/** @typedef {import('./messages.js').Call} Call */

/** @implements {Screen} */
export class RemoteScreen {
    #call;

    /** @param {(name: Call, value?: any) => void} call Calls the screen's method in the worker. */
    constructor(call) {
        this.#call = call;
    }

    open() {
        this.#call('open');
    }

    /** @param {import('../paint/surface.js').Hanging} hanging */
    hang(hanging) {
        this.#call('hang', hanging);
    }

    /** @param {boolean} isVisible */
    setVisible(isVisible) {
        this.#call('setVisible', isVisible);
    }

    /** @param {{ type: string } & Record<string, unknown>} message */
    send(message) {
        this.#call('send', message);
    }

    /** @param {boolean} isWatched */
    watchFigures(isWatched) {
        this.#call('watchFigures', isWatched);
    }

    close() {
        this.#call('close');
    }
}
