/** A server that comes and goes, in time that passes when told. */

import { Gate } from '../../../client/stream/gate.js';
import { ReconnectingSocket } from '../../../client/stream/socket.js';
import { FakeEnvironment, settle } from '../fakes.js';

/** Random numbers that are the same each time (mulberry32). */
export function seeded(seed) {
    let state = seed;
    return () => {
        state = (state + 0x6d2b79f5) | 0;
        let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
        mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
}

/** Let time pass as `advance` does, with the promises that are settled on the way. */
export async function pass(environment, ms) {
    const untilMs = environment.elapsedMs + ms;
    await settle();
    for (;;) {
        const next = Math.min(...[...environment.timers.values()].map(({ atMs }) => atMs));
        if (!(next <= untilMs)) {
            break;
        }
        environment.advance(Math.max(0, next - environment.elapsedMs));
        await settle();
    }
    environment.advance(untilMs - environment.elapsedMs);
}

const ANSWER_MS = 3;

/**
 * One page's sockets, its gate and the server: up, down, hanging (takes connections and says nothing), or such
 * that it is well and refuses sockets.
 */
export class PageOfSockets {
    environment = new FakeEnvironment();
    state = 'up';
    /** Whether a socket that is taken is told anything. */
    greets = true;
    /** @type {{ atMs: number, kind: 'probe' | 'socket', name: string }[]} */
    attempts = [];
    /** @type {Map<string, any>} The open connections by name. */
    open = new Map();
    ended = [];

    constructor(count, seed = 1) {
        const { environment } = this;
        environment.random = seeded(seed);
        const openSocket = environment.openSocket;
        environment.openSocket = (url, protocols) => {
            const socket = openSocket(url, protocols);
            this.#note('socket', url);
            environment.setTimer(() => this.#answer(socket), ANSWER_MS);
            return socket;
        };
        this.gate = new Gate(environment, (signal) => this.#probe(signal));
        this.sockets = Array.from({ length: count }, (_, index) => this.join(`canvas-${index + 1}`));
    }

    /** Another socket, which is proven by a greeting. */
    join(name) {
        const socket = new ReconnectingSocket(
            name,
            [],
            {
                onOpen: () => {},
                onMessage: (data) => data === 'hello' && socket.proven(),
                onTick: () => this.state === 'up' && this.open.get(name)?.push('pong'),
                onDown: () => this.open.delete(name),
                onEnd: (code) => this.ended.push({ name, code }),
            },
            this.environment,
            this.gate,
        );
        return socket;
    }

    /** Open every socket and wait until they are. */
    async start() {
        this.sockets.forEach((socket) => socket.open());
        await this.pass(2000);
        this.attempts = [];
    }

    async pass(ms) {
        await pass(this.environment, ms);
    }

    /** The server ends, and with it every connection. */
    stop(state = 'down') {
        this.state = state;
        [...this.open.values()].forEach((socket) => socket.drop(1001));
    }

    /** Wait until so many sockets are open, and give how long that took. */
    async untilOpen(count, withinMs = 60_000) {
        const fromMs = this.environment.elapsedMs;
        while (this.open.size < count && this.environment.elapsedMs - fromMs < withinMs) {
            await this.pass(10);
        }
        return this.environment.elapsedMs - fromMs;
    }

    of(kind) {
        return this.attempts.filter((attempt) => attempt.kind === kind);
    }

    #note(kind, name) {
        this.attempts.push({ atMs: this.environment.elapsedMs, kind, name });
    }

    #answer(socket) {
        if (this.state === 'up') {
            socket.accept();
            this.open.set(socket.url, socket);
            if (this.greets) {
                socket.push('hello');
            }
        } else if (this.state !== 'hanging') {
            socket.drop(1006);
        }
    }

    #probe(signal) {
        this.#note('probe', '/health');
        return new Promise((resolve, reject) => {
            signal.addEventListener('abort', () => reject(new Error('aborted')));
            if (this.state === 'hanging') {
                return;
            }
            const state = this.state;
            this.environment.setTimer(() => {
                if (state === 'down') {
                    reject(new TypeError('Failed to fetch'));
                } else {
                    resolve(state !== 'ailing');
                }
            }, ANSWER_MS);
        });
    }
}
