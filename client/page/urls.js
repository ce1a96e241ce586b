/** Addresses on the server that the page came from. */

/**
 * The address of a WebSocket, as safe as the page itself.
 *
 * @param {string} path
 * @param {string} pageUrl
 */
export function socketUrl(path, pageUrl) {
    const url = new URL(path, pageUrl);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    return url.href;
}
