/** Which canvases a page shows, from its address. */

/**
 * @param {{ pathname: string, search: string }} address
 * @returns {string[] | null} The slugs in the order to hang them; null: every lasting canvas.
 */
export function selectedSlugs({ pathname, search }) {
    const single = /^\/c\/([^/]+)\/?$/.exec(pathname);
    if (single !== null) {
        return [single[1]];
    }
    const listed = (new URLSearchParams(search).get('canvases') ?? '').split(',');
    const slugs = listed.map((slug) => slug.trim()).filter((slug) => slug !== '');
    return slugs.length === 0 ? null : [...new Set(slugs)];
}

/**
 * The address of a WebSocket on the server that the page came from.
 *
 * @param {string} path
 * @param {string} pageUrl
 */
export function socketUrl(path, pageUrl) {
    const url = new URL(path, pageUrl);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    return url.href;
}
