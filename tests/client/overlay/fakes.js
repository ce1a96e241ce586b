/** As much of a page as the overlay touches. */

export class FakeElement {
    className = '';
    textContent = '';
    style = {};
    attributes = {};
    children = [];
    clientWidth = 1920;
    clientHeight = 1080;
    #marks = new Set();

    constructor(name, document) {
        this.name = name;
        this.ownerDocument = document;
    }

    classList = {
        toggle: (mark, isSet) => (isSet ? this.#marks.add(mark) : this.#marks.delete(mark)),
    };

    has(mark) {
        return this.#marks.has(mark);
    }

    setAttribute(name, value) {
        this.attributes[name] = value;
    }

    append(...children) {
        for (const child of children) {
            child.parent = this;
            this.children.push(child);
        }
    }

    remove() {
        this.parent.children.splice(this.parent.children.indexOf(this), 1);
    }

    /** All elements below that have a class or a name. */
    all(wanted) {
        const below = this.children.flatMap((child) => child.all(wanted));
        const own = this.children.filter(({ className, name }) => [name, ...className.split(' ')].includes(wanted));
        return [...own, ...below];
    }
}

export class FakeDocument extends EventTarget {
    hidden = false;
    documentElement = new FakeElement('html', this);

    createElement(name) {
        return new FakeElement(name, this);
    }

    press(key, fields = {}) {
        const event = Object.assign(new Event('keydown'), { key, code: `Key${key.toUpperCase()}`, ...fields });
        this.dispatchEvent(event);
    }
}

/** What a screen measures. */
export const FIGURES = {
    fps: 4,
    age_ms: { p50: 42.4, p95: 61 },
    stages_ms: { publish: 1, encode: 4.4, network: 12, decode: 9, present: 16 },
    tier: 'jpeg-100-85',
    size: { width: 1920, height: 1080 },
    rtt_ms: 12.3,
    offset_error_ms: 6.15,
    bytes_per_s: 1_234_567,
    drops: { skipped: 2, corrupt: 0, missed: 1, hidden: 0 },
};
