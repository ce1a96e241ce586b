/** Doubles of what the browser gives, driven by hand: no test waits for a clock. */

import { decode, encode } from '../../client/vendor/msgpack.js';

/** Let promises that are settled run their callbacks. */
export async function settle() {
    for (let turn = 0; turn < 10; turn += 1) {
        await null;
    }
}

/** A bitmap that knows whether somebody closed it. */
export class FakeBitmap {
    closed = 0;

    constructor(name, { width = 512, height = 512 } = {}) {
        this.name = name;
        this.width = width;
        this.height = height;
    }

    close() {
        this.closed += 1;
    }
}

/** The server's end of a socket is this object's methods in the second half. */
export class FakeSocket extends EventTarget {
    readyState = 0;
    sent = [];
    closedWith = null;

    constructor(url, protocols) {
        super();
        this.url = url;
        this.protocols = protocols;
    }

    send(data) {
        this.sent.push(data);
    }

    close(code, reason) {
        this.readyState = 3;
        this.closedWith = { code, reason };
    }

    accept() {
        this.readyState = 1;
        this.dispatchEvent(new Event('open'));
    }

    push(data) {
        const event = new Event('message');
        event.data = data;
        this.dispatchEvent(event);
    }

    pushMessage(message) {
        const bytes = encode(message);
        this.push(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    }

    drop(code) {
        this.readyState = 3;
        const event = new Event('close');
        event.code = code;
        this.dispatchEvent(event);
    }

    /** Give what was sent since the last call, decoded. */
    take(type = null) {
        const messages = this.sent.splice(0).map((data) => decode(data));
        return type === null ? messages : messages.filter((message) => message.type === type);
    }
}

/** An `Environment` whose clock, timers, frames and decodes move when told. */
export class FakeEnvironment {
    sockets = [];
    timers = new Map();
    frames = [];
    afterFrames = [];
    decodes = [];
    elapsedMs = 0;
    randomValue = 0.5;
    #handle = 0;

    openSocket = (url, protocols) => {
        const socket = new FakeSocket(url, protocols);
        this.sockets.push(socket);
        return socket;
    };

    setTimer = (callback, delayMs) => {
        this.#handle += 1;
        this.timers.set(this.#handle, { callback, atMs: this.elapsedMs + delayMs, delayMs });
        return this.#handle;
    };

    clearTimer = (handle) => {
        this.timers.delete(handle);
    };

    random = () => this.randomValue;

    nowMs = () => 1_000_000 + this.elapsedMs;

    requestFrame = (callback) => {
        this.frames.push(callback);
    };

    afterFrame = (callback) => {
        this.afterFrames.push(callback);
    };

    createImageBitmap = (blob) =>
        new Promise((resolve, reject) => {
            this.decodes.push({ blob, resolve, reject });
        });

    get socket() {
        return this.sockets.at(-1);
    }

    /** Let time pass, running the timers that fall due in their order. */
    advance(ms) {
        const untilMs = this.elapsedMs + ms;
        for (;;) {
            const due = [...this.timers].filter(([, timer]) => timer.atMs <= untilMs);
            if (due.length === 0) {
                break;
            }
            const [handle, timer] = due.reduce((first, next) => (next[1].atMs < first[1].atMs ? next : first));
            this.timers.delete(handle);
            this.elapsedMs = timer.atMs;
            timer.callback();
        }
        this.elapsedMs = untilMs;
    }

    /** Finish the oldest decode, or the one at this index, with a bitmap of this size, and give the bitmap. */
    async finishDecode(index = 0, size = {}) {
        const [{ resolve }] = this.decodes.splice(index, 1);
        const bitmap = new FakeBitmap(undefined, size);
        resolve(bitmap);
        await settle();
        return bitmap;
    }

    async failDecode(index = 0) {
        const [{ reject }] = this.decodes.splice(index, 1);
        reject(new Error('The source image could not be decoded.'));
        await settle();
    }

    /** Run one animation frame, up to when it is on its way to the screen. */
    paint() {
        this.frames.splice(0).forEach((callback) => callback());
        this.afterFrames.splice(0).forEach((callback) => callback());
    }
}

/** A frame message, as the decoder gives it. */
export function frame(sequence, fields = {}) {
    return {
        type: 'frame',
        canvas: 'left',
        sequence,
        image_id: `image-${sequence}`,
        timestamp_ms: 1_700_000_000_000 + sequence,
        published_ms: 1_700_000_000_000 + sequence,
        format: 'jpeg',
        width: 512,
        height: 512,
        tier: 'full',
        job: 'job-1',
        final: false,
        image: Uint8Array.of(sequence % 256),
        ...fields,
    };
}

export const HELLO = {
    type: 'hello',
    protocol: 1,
    epoch: 'first',
    canvas: { slug: 'left', width: 512, height: 512 },
    server_time_ms: 1_000_000,
    limits: {},
    features: [],
};
