/** Doubles of a page, whose events the test sends. */

/** As much of an element, or a document, as the modules of the page touch. */
export class FakePage extends EventTarget {
    visibilityState = 'visible';
    textContent = '';
    properties = new Map();
    #marks = new Set();

    classList = {
        toggle: (mark, isSet) => (isSet ? this.#marks.add(mark) : this.#marks.delete(mark)),
        add: (mark) => this.#marks.add(mark),
    };

    style = { setProperty: (name, value) => this.properties.set(name, value) };

    has(mark) {
        return this.#marks.has(mark);
    }

    /** Send an event with these fields, and tell whether its default was prevented. */
    send(type, fields = {}, { cancelable = true } = {}) {
        const event = Object.assign(new Event(type, { cancelable }), fields);
        this.dispatchEvent(event);
        return event.defaultPrevented;
    }
}
