/** As much of a page as the parts of the canvases' panel touch. */

export class FakeElement extends EventTarget {
    children = [];
    dataset = {};
    attributes = {};
    textContent = '';
    hidden = false;
    parent = null;
    classList = { toggle: () => {} };

    constructor(tag) {
        super();
        this.tag = tag;
    }

    setAttribute(name, value) {
        this.attributes[name] = value;
    }

    getAttribute(name) {
        return this.attributes[name] ?? null;
    }

    append(...children) {
        this.children.push(...children);
        children.forEach((child) => {
            child.parent = this;
        });
    }

    replaceChildren(...children) {
        this.children = [];
        this.append(...children);
    }

    remove() {
        this.parent.children.splice(this.parent.children.indexOf(this), 1);
    }

    press() {
        this.dispatchEvent(new Event('click'));
    }

    /** All texts below it, in order. */
    get texts() {
        return [this.textContent, ...this.children.flatMap(({ texts }) => texts)].filter(Boolean);
    }

    /** As a dialog's: it closes once, with an event. */
    showModal() {
        this.open = true;
        this.returnValue = '';
    }

    close(value) {
        if (this.open) {
            this.open = false;
            this.returnValue = value;
            this.dispatchEvent(new Event('close'));
        }
    }
}

export class FakeDocument {
    body = new FakeElement('body');

    createElement(tag) {
        return new FakeElement(tag);
    }
}
