/**
 * Sends the changes of one canvas: what changes within a moment goes out together, and one request at a time, so that
 * a slider that is dragged is followed and never overtaken by its own past.
 */

/** @typedef {Record<string, any>} Patch */

/**
 * @typedef {object} PatchHandlers
 * @property {() => void} onSettled Everything was sent and taken.
 * @property {(error: unknown, patch: Patch) => void} onError
 */

// Short enough to see what a slider does, long enough not to ask for every pixel of its way.
const DELAY_MS = 120;

export class Patcher {
    #send;
    #timers;
    #handlers;
    /** The groups that are reset before the rest of them is set. @type {Patch} */
    #resets = {};
    /** @type {Patch | null} */
    #pending = null;
    /** @type {any} */
    #timer = null;
    #isSending = false;

    /**
     * @param {(patch: Patch) => Promise<unknown>} send
     * @param {{ setTimer: (callback: () => void, delayMs: number) => any, clearTimer: (handle: any) => void }} timers
     * @param {PatchHandlers} handlers
     */
    constructor(send, timers, handlers) {
        this.#send = send;
        this.#timers = timers;
        this.#handlers = handlers;
    }

    /** Whether something was changed that the server has not taken yet. */
    get isBusy() {
        return this.#pending !== null || this.#isSending;
    }

    /** @param {Patch} patch */
    change(patch) {
        const pending = this.#pending ?? {};
        for (const name of GROUPS.filter((group) => group in patch)) {
            if (patch[name] === null) {
                delete this.#resets[name];
            } else if (pending[name] === null) {
                // What was reset and is then set in part keeps nothing of before: that takes two requests.
                this.#resets[name] = null;
            }
        }
        this.#pending = merged(pending, patch);
        this.#timer ??= this.#timers.setTimer(() => {
            this.#timer = null;
            void this.#flush();
        }, DELAY_MS);
    }

    /** Send what waits at once: whoever changed it is about to go. */
    close() {
        this.#timers.clearTimer(this.#timer);
        this.#timer = null;
        void this.#flush();
    }

    async #flush() {
        if (this.#pending === null || this.#isSending) {
            // What is on its way comes back here.
            return;
        }
        const patch = this.#next(this.#pending);
        this.#isSending = true;
        try {
            await this.#send(patch);
        } catch (error) {
            this.#handlers.onError(error, patch);
        } finally {
            this.#isSending = false;
        }
        if (this.#pending === null) {
            this.#handlers.onSettled();
        } else if (this.#timer === null) {
            void this.#flush();
        }
    }

    /**
     * Take out what is to be sent next.
     *
     * @param {Patch} pending
     */
    #next(pending) {
        if (Object.keys(this.#resets).length === 0) {
            this.#pending = null;
            return pending;
        }
        const resets = this.#resets;
        this.#resets = {};
        return resets;
    }
}

// These are merged field by field, as the server does.
const GROUPS = ['processing', 'transition', 'audio'];

/** @param {unknown} value */
function isRecord(value) {
    return typeof value === 'object' && value !== null;
}

/**
 * Lay one patch over another.
 *
 * @param {Patch} patch
 * @param {Patch} later
 * @returns {Patch}
 */
export function merged(patch, later) {
    const both = { ...patch };
    for (const [name, value] of Object.entries(later)) {
        const isMerged = GROUPS.includes(name) && value !== null && isRecord(both[name]);
        both[name] = isMerged ? { ...both[name], ...value } : value;
    }
    return both;
}
