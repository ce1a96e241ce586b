/** What a page shows and how, from its address. */

// As the server has it: anything else it refuses before the upgrade, which a page cannot tell from a lost network.
const SLUG = /^[a-z0-9][a-z0-9-]{0,63}$/;

/**
 * @param {{ pathname: string, search: string }} address
 * @returns {string[] | null} The slugs in the order to hang them; null: every lasting canvas.
 */
export function selectedSlugs({ pathname, search }) {
    const single = /^\/c\/([^/]+)\/?$/.exec(pathname);
    if (single !== null) {
        return [single[1]];
    }
    const listed = new URLSearchParams(search).get('canvases') ?? '';
    if (listed.trim() === '') {
        return null;
    }
    const slugs = listed.split(',').map((slug) => slug.trim());
    return [...new Set(slugs.filter((slug) => SLUG.test(slug)))];
}

/**
 * @typedef {object} ScreenOptions
 * @property {boolean} isAlwaysVisible `?always=1`: whatever the browser says, somebody looks. OBS and other
 *     compositors show pages that their browser takes for hidden.
 * @property {number} [maxFps] `?max_fps=`: this screen wants at most so many frames a second; 0: it is paused.
 */

/**
 * @param {{ search: string }} address
 * @returns {ScreenOptions}
 */
export function screenOptions({ search }) {
    const query = new URLSearchParams(search);
    const maxFps = Number.parseFloat(query.get('max_fps') ?? '');
    return {
        isAlwaysVisible: ['1', 'true'].includes(query.get('always') ?? ''),
        maxFps: maxFps >= 0 ? maxFps : undefined,
    };
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
