/** A line of text that says something once, quietly, and goes by itself. */

// Long enough to be read by somebody who has just turned to the screen.
const SHOWN_MS = 10_000;

export class Notice {
    #element;
    #environment;
    /** @type {any} */
    #timer = null;

    /**
     * @param {HTMLElement} element
     * @param {import('./cursor.js').CursorEnvironment} environment
     */
    constructor(element, environment) {
        this.#element = element;
        this.#environment = environment;
    }

    /** @param {string} text */
    show(text) {
        this.#element.textContent = text;
        this.#element.classList.toggle('is-shown', true);
        this.#environment.clearTimer(this.#timer);
        this.#timer = this.#environment.setTimer(() => this.clear(), SHOWN_MS);
    }

    /** The text stays in the element while that fades. */
    clear() {
        this.#environment.clearTimer(this.#timer);
        this.#element.classList.toggle('is-shown', false);
    }
}
