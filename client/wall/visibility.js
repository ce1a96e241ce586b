/**
 * Whether anybody can see a tile: the page is in front, the tile has an area, and it lies in the window.
 *
 * Hiding is told late and showing at once: a page that is being left, or a tab that is only passed
 * over, is hidden for an instant, and whoever returns waits for nothing.
 */

/** @typedef {'page' | 'area' | 'sight'} Aspect What may hide a tile. */

const HIDE_AFTER_MS = 250;

export class Visibility {
    #environment;
    #onChange;
    /** @type {Set<Aspect>} */
    #hiddenBy = new Set();
    #told;
    /** @type {any} */
    #timer = null;

    /**
     * @param {import('../stream/environment.js').Environment} environment
     * @param {boolean} isPageVisible At the start; `onChange` is not called for it.
     * @param {(isVisible: boolean) => void} onChange
     */
    constructor(environment, isPageVisible, onChange) {
        this.#environment = environment;
        this.#onChange = onChange;
        this.#told = isPageVisible;
        if (!isPageVisible) {
            this.#hiddenBy.add('page');
        }
    }

    /**
     * @param {Aspect} aspect
     * @param {boolean} isVisible As far as this aspect goes.
     */
    note(aspect, isVisible) {
        if (isVisible) {
            this.#hiddenBy.delete(aspect);
        } else {
            this.#hiddenBy.add(aspect);
        }
        if (this.#hiddenBy.size === 0) {
            this.#tell(true);
        } else if (this.#told && this.#timer === null) {
            this.#timer = this.#environment.setTimer(() => this.#tell(false), HIDE_AFTER_MS);
        }
    }

    /** Call nobody any more. */
    close() {
        this.#environment.clearTimer(this.#timer);
    }

    /** @param {boolean} isVisible */
    #tell(isVisible) {
        this.#environment.clearTimer(this.#timer);
        this.#timer = null;
        if (isVisible !== this.#told) {
            this.#told = isVisible;
            this.#onChange(isVisible);
        }
    }
}

/**
 * Tell when an element leaves the window, is scrolled or laid out away, and when it is back.
 *
 * @param {Element} element
 * @param {(isInSight: boolean) => void} onSight
 * @returns {() => void} Stops it.
 */
export function watchSight(element, onSight) {
    /** @type {IntersectionObserver | ResizeObserver} */
    let observer;
    if (typeof IntersectionObserver === 'function') {
        observer = new IntersectionObserver((entries) => onSight(entries[entries.length - 1].isIntersecting));
    } else {
        // Without it an element that is not laid out is still known by having no area.
        observer = new ResizeObserver((entries) => {
            const { width, height } = entries[entries.length - 1].contentRect;
            onSight(width > 0 && height > 0);
        });
    }
    observer.observe(element);
    return () => observer.disconnect();
}
