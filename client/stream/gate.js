/**
 * When a page's sockets may open: all of them ask here, so that a page knocks once at a server that is
 * away, and not once for each of its canvases.
 *
 * As long as nothing was lost, sockets open as they ask, a little apart. Once one is lost, none opens
 * until one probe has found the server well; then the first goes at once, and the others follow within
 * about a second. Every attempt, probe or socket, is taken from one allowance, which fills by one a
 * second and to which a socket that works gives its own back: whatever fails, and however many there
 * are, a page makes one attempt a second at most in the long run. It knows no sockets: only who asks,
 * who has lost and whose peer works.
 */

import { Backoff } from './backoff.js';

/**
 * @typedef {object} Pass What one socket has of the gate.
 * @property {() => void} ask It wants to open: `go` is called once, now or later.
 * @property {() => void} lost It was closed, or did not come to be: is the server there at all?
 * @property {() => void} proven Its peer does its work.
 * @property {() => void} leave It wants nothing until it asks again.
 */

/**
 * @typedef {object} Entrance What sockets need of a gate.
 * @property {(go: () => void) => Pass} join
 */

/** @typedef {{ go: () => void }} Guest */

/** @typedef {Pick<import('./environment.js').Environment, 'setTimer' | 'clearTimer' | 'random' | 'nowMs'>} Timing */

// Sixteen canvases, the page's own events and some attempts that go wrong, without waiting.
const ALLOWANCE = 24;
const REFILL_MS = 1000;

// A page's first sockets: too little to be seen, and no burst.
const FIRST_GAP_MS = 20;

// After an outage: the first one finds out whether sockets open at all, and other pages come back in the same second.
const TRIAL_MS = 200;
const SPREAD_MS = 1000;

// However long the server was away, it is found again within this and the time of a probe.
const PROBE_CAP_MS = 3500;

// A server that answers later than this could not serve pictures either.
const PROBE_LIMIT_MS = 3000;

// Networks that come and go say so every time.
const HURRY_MS = 1000;

/** @type {Entrance} Where nobody keeps the gate: whoever asks may go. */
export const OPEN = {
    join: (go) => ({ ask: go, lost: () => {}, proven: () => {}, leave: () => {} }),
};

/**
 * Probe by a request, which browsers do not hold back as they do sockets after some have failed.
 *
 * @param {string} url
 * @returns {(signal: AbortSignal) => Promise<boolean>}
 */
export function health(url) {
    return async (signal) => (await fetch(url, { cache: 'no-store', signal })).ok;
}

/** @implements {Entrance} */
export class Gate {
    #environment;
    #probe;
    #backoff;
    /** @type {Set<Guest>} In the order in which they asked. */
    #waiting = new Set();
    /** @type {Set<Guest>} They will ask. */
    #lost = new Set();
    /** @type {Set<Guest>} They were let go, and have yet to prove themselves. */
    #opening = new Set();
    #isOpen = true;
    #isProbing = false;
    #isTrial = false;
    #allowance = ALLOWANCE;
    #filledMs;
    #dueMs = -Infinity;
    #probedMs = -Infinity;
    #gapMs = FIRST_GAP_MS;
    /** @type {any} */
    #timer = null;

    /**
     * @param {Timing} environment
     * @param {(signal: AbortSignal) => Promise<boolean>} probe Whether the server is well; it may fail, and it is
     *     aborted when it takes too long.
     */
    constructor(environment, probe) {
        this.#environment = environment;
        this.#probe = probe;
        this.#backoff = new Backoff(() => environment.random(), PROBE_CAP_MS);
        this.#filledMs = environment.nowMs();
    }

    /**
     * Take part.
     *
     * @param {() => void} go Opens the socket.
     * @returns {Pass}
     */
    join(go) {
        const guest = { go };
        return {
            ask: () => this.#enter(guest, this.#waiting),
            lost: () => this.#lose(guest),
            proven: () => this.#prove(guest),
            leave: () => this.#enter(guest, null),
        };
    }

    /** Do not wait any longer: the network has come back, or somebody looks at the page again. */
    hurry() {
        const nowMs = this.#environment.nowMs();
        if (!this.#isOpen && nowMs - this.#probedMs >= HURRY_MS) {
            this.#dueMs = nowMs;
            this.#proceed();
        }
    }

    /**
     * @param {Guest} guest
     * @param {Set<Guest> | null} set Where it is from now on.
     */
    #enter(guest, set) {
        this.#waiting.delete(guest);
        this.#lost.delete(guest);
        this.#opening.delete(guest);
        set?.add(guest);
        this.#proceed();
    }

    /** @param {Guest} guest */
    #lose(guest) {
        if (this.#isOpen) {
            if (this.#opening.has(guest)) {
                // The server is well and refuses all the same: more of that helps nobody. What is lost with this one
                // tells nothing else.
                this.#allowance -= 1;
            }
            this.#isOpen = false;
            this.#dueMs = this.#environment.nowMs() + this.#backoff.nextMs();
        }
        this.#enter(guest, this.#lost);
    }

    /** @param {Guest} guest */
    #prove(guest) {
        if (this.#opening.delete(guest)) {
            this.#allowance = Math.min(ALLOWANCE, this.#allowance + 1);
            this.#proceed();
        }
    }

    /** Do what is due for those who wait, and come back for what is not; nothing is done for nobody. */
    #proceed() {
        this.#environment.clearTimer(this.#timer);
        while (this.#waiting.size > 0 && !this.#isProbing) {
            const nowMs = this.#environment.nowMs();
            const waitMs = Math.max(this.#dueMs - nowMs, this.#untilAllowedMs(nowMs));
            if (waitMs > 0) {
                this.#timer = this.#environment.setTimer(() => this.#proceed(), waitMs);
                return;
            }
            this.#allowance -= 1;
            if (this.#isOpen) {
                this.#release(nowMs);
            } else {
                void this.#find(nowMs);
            }
        }
    }

    /** @param {number} nowMs */
    #untilAllowedMs(nowMs) {
        const filled = this.#allowance + Math.max(0, nowMs - this.#filledMs) / REFILL_MS;
        this.#allowance = Math.min(ALLOWANCE, filled);
        this.#filledMs = nowMs;
        // Up to the next whole millisecond, or the sum of the parts would never be a whole one.
        return this.#allowance >= 1 ? 0 : Math.ceil((1 - this.#allowance) * REFILL_MS);
    }

    /** @param {number} nowMs */
    #release(nowMs) {
        const [guest] = this.#waiting;
        if (this.#waiting.size + this.#lost.size === 1) {
            this.#gapMs = FIRST_GAP_MS;
        }
        const trialMs = this.#isTrial ? TRIAL_MS : 0;
        this.#isTrial = false;
        this.#dueMs = nowMs + trialMs + this.#gapMs * (0.5 + this.#environment.random());
        this.#waiting.delete(guest);
        this.#opening.add(guest);
        guest.go();
    }

    /** @param {number} nowMs */
    async #find(nowMs) {
        this.#isProbing = true;
        this.#probedMs = nowMs;
        const isWell = await this.#isWell();
        this.#isProbing = false;
        if (isWell) {
            this.#backoff.reset();
            this.#isOpen = true;
            this.#isTrial = true;
            this.#dueMs = -Infinity;
            this.#gapMs = Math.max(FIRST_GAP_MS, SPREAD_MS / Math.max(1, this.#waiting.size + this.#lost.size));
        } else {
            this.#dueMs = this.#environment.nowMs() + this.#backoff.nextMs();
        }
        this.#proceed();
    }

    /** @returns {Promise<boolean>} */
    #isWell() {
        const abort = new AbortController();
        return new Promise((resolve) => {
            const timer = this.#environment.setTimer(() => {
                abort.abort();
                resolve(false);
            }, PROBE_LIMIT_MS);
            void this.#probe(abort.signal)
                .catch(() => false)
                .then((isWell) => {
                    this.#environment.clearTimer(timer);
                    resolve(isWell);
                });
        });
    }
}
