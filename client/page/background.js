/** What lies beside the pictures of a page: its own ground, another colour, or nothing at all. */

/**
 * Give the page its ground, and tell what the canvases have beside their pictures.
 *
 * The style sheets draw on `--ground`; `is-transparent` says that whatever is behind the page shines through,
 * as in a broadcast: nothing but pictures is shown there.
 *
 * @param {HTMLElement} root The page's `<html>`.
 * @param {string | null} background As the address has it.
 * @param {string} own The page's own ground, where the address has none.
 * @returns {string | null} As `SurfaceOptions` has it.
 */
export function applyBackground(root, background, own) {
    if (background === null) {
        return own;
    }
    root.style.setProperty('--ground', background);
    if (background !== 'transparent') {
        return background;
    }
    root.classList.add('is-transparent');
    return null;
}
