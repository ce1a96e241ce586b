/** Canvases that note what is drawn, and a worker that lives in the test, a message at a time. */

import { HELLO, settle } from '../fakes.js';

/** A canvas of either thread; it draws nothing and remembers everything. */
export class FakeCanvas extends EventTarget {
    drawn = [];
    isGiven = false;

    constructor(width = 300, height = 150) {
        super();
        this.width = width;
        this.height = height;
    }

    getContext() {
        return {
            canvas: this,
            save: () => {},
            restore: () => {},
            clearRect: () => {},
            fillRect: () => {},
            drawImage: (source, x, y, width, height) => this.drawn.push({ source, x, y, width, height }),
        };
    }

    transferControlToOffscreen() {
        if (this.isGiven) {
            throw new Error('InvalidStateError: it was given away before');
        }
        this.isGiven = true;
        this.offscreen = new FakeCanvas(this.width, this.height);
        return this.offscreen;
    }
}

/** What a message is on the other side: a copy, but for canvases, which move. */
function posted(message, transfer = []) {
    const { canvas, ...rest } = message;
    if (canvas !== undefined && !transfer.includes(canvas)) {
        throw new Error('DataCloneError: a canvas that is not transferred');
    }
    return { ...structuredClone(rest), ...(canvas === undefined ? {} : { canvas }) };
}

function messageEvent(data) {
    const event = new Event('message');
    event.data = data;
    return event;
}

/** The page's `Worker`; `scope` is what is seen from within it. Nothing arrives before `deliver`. */
export class FakeWorker extends EventTarget {
    scope = new EventTarget();
    isEnded = false;
    /** What has arrived, by direction. */
    toWorker = [];
    toPage = [];
    #waiting = [];

    constructor() {
        super();
        this.scope.postMessage = (message) => this.#send(this.toPage, this, message);
    }

    postMessage(message, transfer) {
        this.#send(this.toWorker, this.scope, message, transfer);
    }

    terminate() {
        this.isEnded = true;
        this.#waiting = [];
    }

    /** Let everything arrive that is on its way, and what comes of it. */
    async deliver() {
        await settle();
        while (this.#waiting.length > 0) {
            const { log, target, data } = this.#waiting.shift();
            log.push(data);
            target.dispatchEvent(messageEvent(data));
            await settle();
        }
    }

    /** Say something to the page as the worker would. */
    say(data) {
        this.dispatchEvent(messageEvent(data));
    }

    fail(type = 'error') {
        this.dispatchEvent(new Event(type));
    }

    #send(log, target, message, transfer) {
        if (!this.isEnded) {
            this.#waiting.push({ log, target, data: posted(message, transfer) });
        }
    }
}

/** Decode the samples by which a decoder finds out what it can. */
export async function decodeSamples(environment) {
    while (environment.decodes.length > 0) {
        const isTurned = environment.decodes[0].blob.type === 'image/jpeg';
        await environment.finishDecode(0, { width: 1, height: isTurned ? 2 : 1 });
    }
}

export const OPTIONS = {
    slug: 'left',
    url: 'ws://wall.test/ws/left',
    isVisible: true,
    fit: 'contain',
    background: '#050507',
    isSmooth: true,
};

export const HUNG = { place: { width: 800, height: 400 }, view: { x: 0, y: 0, width: 800, height: 400 } };

/** A hello of a canvas of 512 × 512. */
export function hello(canvas = {}) {
    return { ...HELLO, canvas: { ...HELLO.canvas, ...canvas } };
}

/** Handlers of every event, and the list of what they were called with. */
export function listening(names) {
    const seen = [];
    const events = Object.fromEntries(names.map((name) => [name, (...values) => seen.push([name, ...values])]));
    return { events, seen, named: (name) => seen.filter(([other]) => other === name).map(([, ...values]) => values) };
}
