/** What the browser remembers for the page: choices and a draft, never a secret. It may refuse, and nothing breaks. */

/** @typedef {Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>} Box */

export class Memory {
    #box;

    /** @param {() => Box} open Reading the property itself fails where storage is forbidden. */
    constructor(open) {
        try {
            this.#box = open();
        } catch {
            this.#box = null;
        }
    }

    /** @param {string} name */
    get(name) {
        try {
            return this.#box?.getItem(`psyche.${name}`) ?? null;
        } catch {
            return null;
        }
    }

    /**
     * @param {string} name
     * @param {string | null} value Null: forget it.
     */
    set(name, value) {
        try {
            if (value === null) {
                this.#box?.removeItem(`psyche.${name}`);
            } else {
                this.#box?.setItem(`psyche.${name}`, value);
            }
        } catch {
            // The box is full or shut: the page works, and forgets.
        }
    }
}
