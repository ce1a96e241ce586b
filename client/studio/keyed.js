/** A list of elements that follows a list of things: each element is made once, moved and updated, never rebuilt. */

/**
 * @template Thing
 * @typedef {object} Row What stands for one thing.
 * @property {HTMLElement} root
 * @property {(thing: Thing) => void} update
 * @property {() => void} [close] Called when its element has left the list.
 */

/** @template Thing */
export class KeyedList {
    #root;
    #keyOf;
    #make;
    /** @type {Map<string, Row<Thing>>} */
    #rows = new Map();

    /**
     * @param {HTMLElement} root Holds nothing but this list.
     * @param {(thing: Thing) => string} keyOf
     * @param {(thing: Thing) => Row<Thing>} make
     */
    constructor(root, keyOf, make) {
        this.#root = root;
        this.#keyOf = keyOf;
        this.#make = make;
    }

    /** @param {string} key */
    get(key) {
        return this.#rows.get(key) ?? null;
    }

    /** The rows in no particular order. */
    rows() {
        return this.#rows.values();
    }

    /**
     * Show exactly these, in this order. An element that stays where it is is not touched: it keeps the focus.
     *
     * @param {Thing[]} things
     */
    show(things) {
        const wanted = new Set(things.map((thing) => this.#keyOf(thing)));
        for (const [key, row] of this.#rows) {
            if (!wanted.has(key)) {
                this.#rows.delete(key);
                row.root.remove();
                row.close?.();
            }
        }
        let next = this.#root.firstElementChild;
        for (const thing of things) {
            const row = this.#rowFor(thing);
            row.update(thing);
            if (row.root === next) {
                next = next.nextElementSibling;
            } else {
                this.#root.insertBefore(row.root, next);
            }
        }
    }

    /** @param {Thing} thing */
    #rowFor(thing) {
        const key = this.#keyOf(thing);
        let row = this.#rows.get(key);
        if (row === undefined) {
            row = this.#make(thing);
            this.#rows.set(key, row);
        }
        return row;
    }
}
