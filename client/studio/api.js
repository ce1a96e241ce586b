/**
 * The server's HTTP routes as JSON. It never sees the token: the login dialog exchanges it for a cookie that no
 * script can read.
 */

/**
 * @typedef {object} ApiServices
 * @property {(url: string, init: RequestInit) => Promise<Response>} fetch
 * @property {() => Promise<boolean>} login Asks the reader for the token; whether the server took it.
 * @property {(callback: () => void, delayMs: number) => any} setTimer
 * @property {(handle: any) => void} clearTimer
 */

/** What the server said no with; status 0 where it did not answer at all. */
export class ApiError extends Error {
    name = 'ApiError';

    /**
     * @param {number} status
     * @param {string} code
     * @param {string} message
     * @param {string | null} [field] What of the request is wrong, where one thing is.
     */
    constructor(status, code, message, field = null) {
        super(message);
        this.status = status;
        this.code = code;
        this.field = field;
    }

    /** Whether the same request may do later. */
    get isPassing() {
        return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
    }
}

// A request with a key may be repeated: it starts nothing twice. The second pause outlasts a server that restarts.
const REPEATS_MS = [400, 1600];

// An answer that takes longer than this will not come; images of 32 MB on a slow line take their time.
const PATIENCE_MS = 30_000;
const UPLOAD_PATIENCE_MS = 300_000;

export class Api {
    #services;
    /** @type {Promise<boolean> | null} */
    #login = null;

    /** @param {ApiServices} services */
    constructor(services) {
        this.#services = services;
    }

    /** @param {string} path */
    get(path) {
        return this.#send(path, { method: 'GET' });
    }

    /**
     * @param {string} path
     * @param {unknown} [body]
     * @param {{ key?: string }} [options] With a key the request is repeated where the server does not answer.
     */
    post(path, body = {}, { key } = {}) {
        /** @type {Record<string, string>} */
        const headers = key === undefined ? {} : { 'idempotency-key': key };
        return this.#send(path, jsonRequest('POST', body, headers), key === undefined ? [] : REPEATS_MS);
    }

    /**
     * @param {string} path
     * @param {unknown} body
     */
    patch(path, body) {
        return this.#send(path, jsonRequest('PATCH', body));
    }

    /** @param {string} path */
    delete(path) {
        return this.#send(path, { method: 'DELETE' });
    }

    /**
     * Post an image as it is.
     *
     * @param {string} path
     * @param {Blob} blob
     */
    upload(path, blob) {
        const headers = { accept: 'application/json', 'content-type': blob.type || 'application/octet-stream' };
        return this.#send(path, { method: 'POST', headers, body: blob }, [], UPLOAD_PATIENCE_MS);
    }

    /**
     * @param {string} path
     * @param {RequestInit} request
     * @param {number[]} [pausesMs] Before each repeat of a request that got no answer.
     * @param {number} [patienceMs]
     * @returns {Promise<any>}
     */
    async #send(path, request, pausesMs = [], patienceMs = PATIENCE_MS) {
        for (const pauseMs of pausesMs) {
            try {
                return await this.#authorised(path, request, patienceMs);
            } catch (error) {
                if (!(error instanceof ApiError) || error.status !== 0) {
                    throw error;
                }
            }
            await new Promise((resolve) => this.#services.setTimer(() => resolve(null), pauseMs));
        }
        return this.#authorised(path, request, patienceMs);
    }

    /**
     * Send, and once more after a login where the server wants the token.
     *
     * @param {string} path
     * @param {RequestInit} request
     * @param {number} patienceMs
     */
    async #authorised(path, request, patienceMs) {
        try {
            return await this.#once(path, request, patienceMs);
        } catch (error) {
            // The login's own 401 says that this was not the token.
            const isLocked = error instanceof ApiError && error.status === 401 && path !== '/login';
            if (!isLocked || !(await this.#askToLogIn())) {
                throw error;
            }
            return this.#once(path, request, patienceMs);
        }
    }

    /** Many requests may find the door locked: one dialog opens it for all. */
    #askToLogIn() {
        this.#login ??= this.#services.login().finally(() => {
            this.#login = null;
        });
        return this.#login;
    }

    /**
     * @param {string} path
     * @param {RequestInit} request
     * @param {number} patienceMs
     */
    async #once(path, request, patienceMs) {
        const aborting = new AbortController();
        const timer = this.#services.setTimer(() => aborting.abort(), patienceMs);
        let response;
        let text;
        try {
            response = await this.#services.fetch(path, {
                ...request,
                headers: { accept: 'application/json', ...request.headers },
                signal: aborting.signal,
            });
            text = await response.text();
        } catch {
            throw new ApiError(0, 'unreachable', 'the server does not answer');
        } finally {
            this.#services.clearTimer(timer);
        }
        const answer = parse(text);
        if (!response.ok) {
            throw errorOf(response.status, answer);
        }
        return answer;
    }
}

/**
 * @param {string} method
 * @param {unknown} body
 * @param {Record<string, string>} [headers]
 * @returns {RequestInit}
 */
function jsonRequest(method, body, headers = {}) {
    return { method, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) };
}

/**
 * @param {string} text
 * @returns {any} Null where it is no JSON.
 */
function parse(text) {
    try {
        return JSON.parse(text);
    } catch {
        return null;
    }
}

/**
 * @param {number} status
 * @param {any} answer
 */
function errorOf(status, answer) {
    const error = answer?.error;
    if (typeof error?.message !== 'string') {
        // A proxy in between has its own pages.
        return new ApiError(status, 'http', `the server answered ${status}`);
    }
    return new ApiError(status, String(error.code), error.message, error.field ?? null);
}

/**
 * Make a key that no other request has. `crypto.randomUUID` is there on secure pages only, and a show is run over
 * plain HTTP in the house.
 *
 * @param {(bytes: Uint8Array<ArrayBuffer>) => Uint8Array} [fill]
 */
export function newKey(fill = (bytes) => crypto.getRandomValues(bytes)) {
    return [...fill(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
