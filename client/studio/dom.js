/** Making elements, so that a page reads as what it holds. Text only ever as text. */

/**
 * Make an element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [properties] Names with a hyphen and `role` are attributes, `dataset` is merged,
 *     the others are the element's own properties.
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
        if (name === 'dataset') {
            Object.assign(made.dataset, value);
        } else if (name.includes('-') || name === 'role') {
            made.setAttribute(name, String(value));
        } else {
            Object.assign(made, { [name]: value });
        }
    }
    made.append(...children);
    return made;
}

/**
 * Find what the page must have.
 *
 * @template {Element} [Kind=HTMLElement]
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {Kind}
 */
export function find(selector, root = document) {
    const found = root.querySelector(selector);
    if (found === null) {
        throw new Error(`the page has no ${selector}`);
    }
    return /** @type {Kind} */ (found);
}

/**
 * Set a text only where it differs: a screen reader hears what is set.
 *
 * @param {Element} target
 * @param {string} text
 */
export function setText(target, text) {
    if (target.textContent !== text) {
        target.textContent = text;
    }
}
