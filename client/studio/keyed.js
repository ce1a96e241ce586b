/** A list of elements that follows a list of things: each element is made once, moved and updated, never rebuilt. */

/**
 * @template Thing
 * @typedef {object} Row What stands for one thing.
 * @property {HTMLElement} root
 * @property {(thing: Thing) => void} update
 * @property {() => void} [close] Called when its element has left the list.
 */

const CONTROLS = 'a[href], button, input, select, summary, textarea';

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

    /** The rows in no particular order. */
    rows() {
        return this.#rows.values();
    }

    /**
     * Show exactly these, in this order. An element that stays where it is is not touched. Where the one goes that
     * has the focus, its neighbour gets it, or the panel around.
     *
     * @param {Thing[]} things
     */
    show(things) {
        const focused = this.#focused();
        const neighbours = focused === null ? [] : this.#neighboursOf(focused);
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
        if (focused !== null) {
            this.#keepFocus(focused, neighbours);
        }
    }

    /** @returns {HTMLElement | null} What has the focus within the list. */
    #focused() {
        const focused = /** @type {HTMLElement | null} */ (this.#root.ownerDocument.activeElement);
        return focused !== null && focused !== this.#root && this.#root.contains(focused) ? focused : null;
    }

    /**
     * @param {HTMLElement} focused
     * @returns {Element[]} The rows after that of the focus, then those before it, the nearest first.
     */
    #neighboursOf(focused) {
        const rows = [...this.#root.children];
        const at = rows.findIndex((row) => row.contains(focused));
        return [...rows.slice(at + 1), ...rows.slice(0, at).reverse()];
    }

    /**
     * @param {HTMLElement} focused
     * @param {Element[]} neighbours
     */
    #keepFocus(focused, neighbours) {
        const document = this.#root.ownerDocument;
        if (document.activeElement === focused) {
            return;
        }
        const neighbour = neighbours.find((row) => this.#root.contains(row));
        const panel = this.#root.closest('[tabindex="-1"]');
        // A row that was moved has lost it; what is hidden or disabled does not take it.
        const takers = this.#root.contains(focused)
            ? [focused]
            : [...neighbour?.querySelectorAll(CONTROLS) ?? [], ...panel === null ? [] : [panel]];
        takers.some((taker) => {
            /** @type {HTMLElement} */ (taker).focus({ preventScroll: true });
            return document.activeElement === taker;
        });
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
