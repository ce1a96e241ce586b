/** What a server's addresses answer. */

/**
 * Ask for JSON.
 *
 * @param {string} url
 * @param {AbortSignal} [signal] Ends the asking, and the waiting for the rest of an answer.
 * @returns {Promise<any>} What was answered, be it an error's.
 */
export async function fetchJson(url, signal) {
    const response = await fetch(url, { headers: { accept: 'application/json' }, signal });
    return response.json();
}
