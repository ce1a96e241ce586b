/** What a tile is made of in the page; the style sheet says how it looks. */

/**
 * Make the elements of a canvas's tile.
 *
 * @param {string} slug
 */
export function build(slug) {
    const tile = element('section', 'tile');
    const canvas = element('canvas', 'picture');
    canvas.dataset.slug = slug;
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', slug);
    const name = element('p', 'caption slug');
    name.textContent = slug;
    const timestamp = element('p', 'caption timestamp');
    const plate = element('div', 'plate');
    plate.append(name, timestamp, element('i', 'dot'));
    const placeholder = element('div', 'placeholder');
    const message = element('p', 'message');
    placeholder.append(message);
    tile.append(placeholder, canvas, plate);
    return { tile, canvas, message, plate, timestamp };
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {string} className
 */
function element(name, className) {
    const made = document.createElement(name);
    made.className = className;
    return made;
}
