/** Doubles of what the wall's tiles stand on: elements, and screens whose server is the test. */

/** As much of an element as the modules of the wall touch. */
export class FakeElement {
    dataset = {};
    style = {};
    children = [];
    attributes = {};
    textContent = '';
    className = '';
    isRemoved = false;
    events = [];
    #marks = new Set();

    constructor(name = 'div') {
        this.name = name;
    }

    classList = {
        toggle: (mark, isSet) => (isSet ? this.#marks.add(mark) : this.#marks.delete(mark)),
        add: (mark) => this.#marks.add(mark),
    };

    has(mark) {
        return this.#marks.has(mark);
    }

    append(...children) {
        this.children.push(...children);
    }

    setAttribute(name, value) {
        this.attributes[name] = value;
    }

    remove() {
        this.isRemoved = true;
    }

    dispatchEvent(event) {
        this.events.push(event);
    }

    find(className) {
        for (const child of this.children) {
            const found = child.className.split(' ').includes(className) ? child : child.find(className);
            if (found) {
                return found;
            }
        }
        return undefined;
    }
}

/** A `Screen` that notes what it is told; `events` are called by the test. */
export class FakeScreen {
    opened = 0;
    closed = 0;
    hung = [];
    visible = [];
    sent = [];
    watched = [];

    constructor(canvas, options, events) {
        Object.assign(this, { canvas, options, events });
    }

    open() {
        this.opened += 1;
    }

    hang(hanging) {
        this.hung.push(hanging);
    }

    setVisible(isVisible) {
        this.visible.push(isVisible);
    }

    send(message) {
        this.sent.push(message);
    }

    watchFigures(isWatched) {
        this.watched.push(isWatched);
    }

    close() {
        this.closed += 1;
    }
}

export class FakeScreens {
    pipeline = 'main';
    made = [];

    create = (canvas, options, events) => {
        const screen = new FakeScreen(canvas, options, events);
        this.made.push(screen);
        return screen;
    };

    get last() {
        return this.made.at(-1);
    }
}

/** `Overlays` of a page: what is mounted is told by the test that it is open. */
export class FakeOverlays {
    noted = [];
    shown = [];
    closed = 0;

    mount = (parent, slug, onOpen) => {
        Object.assign(this, { parent, slug, onOpen });
        return {
            note: (hello) => this.noted.push(hello),
            show: (figures) => this.shown.push(figures),
            close: () => {
                this.closed += 1;
            },
        };
    };
}
