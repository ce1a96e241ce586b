/** Both ends of the line between a page and its worker, with the real screen at the far end. */

import assert from 'node:assert/strict';
import test, { afterEach, beforeEach } from 'node:test';

import { EVENTS, Host } from '../../../client/screen/host.js';
import { Line } from '../../../client/screen/line.js';
import { findWorker } from '../../../client/screen/probe.js';
import { Gate, OPEN } from '../../../client/stream/gate.js';
import { FakeEnvironment, frame } from '../fakes.js';
import { FakeCanvas, FakeWorker, HUNG, OPTIONS, decodeSamples, hello, listening } from './fakes.js';

beforeEach(() => {
    globalThis.OffscreenCanvas = FakeCanvas;
});

afterEach(() => {
    delete globalThis.OffscreenCanvas;
});

async function setUp({ gate = OPEN, makeScreen } = {}) {
    const worker = new FakeWorker();
    const inside = new FakeEnvironment();
    const outside = new FakeEnvironment();
    new Host(worker.scope, inside, makeScreen);
    const counted = [];
    let lost = 0;
    const line = new Line(worker, {
        environment: outside,
        gate,
        onBitmaps: (counts) => counted.push(counts),
        onLost: () => {
            lost += 1;
        },
    });
    await worker.deliver();
    return { worker, inside, outside, line, counted, lost: () => lost };
}

/** Make a screen, open it and say hello. */
async function opened(parts, options = {}) {
    const { worker, inside, line } = parts;
    const canvas = new FakeCanvas();
    const heard = listening(EVENTS);
    const screen = line.create(canvas, { ...OPTIONS, ...options }, heard.events);
    screen.hang(HUNG);
    screen.open();
    await worker.deliver();
    const { socket } = inside;
    socket.accept();
    socket.pushMessage(hello());
    return { canvas, screen, socket, ...heard };
}

/** Push a frame, follow it to the screen, and let the news arrive. */
async function show({ worker, inside }, socket, sequence) {
    socket.pushMessage(frame(sequence));
    await worker.deliver();
    await inside.finishDecode();
    inside.paint();
    inside.advance(0);
    await worker.deliver();
}

test('a frame is taken, drawn and acknowledged in the worker, and told to the page in one message', async () => {
    const parts = await setUp();
    const { canvas, socket, named } = await opened(parts);
    await show(parts, socket, 1);
    parts.worker.toPage.length = 0;

    await show(parts, socket, 2);

    assert.equal(canvas.offscreen.drawn.length, 2);
    assert.deepEqual(socket.take('ack').map(({ sequence }) => sequence), [1, 2]);
    assert.deepEqual(parts.worker.toPage.map(({ kind }) => kind), ['news']);
    assert.deepEqual(parts.worker.toPage[0].news.map(({ name }) => name), ['onDrawn', 'onPresented']);
    assert.deepEqual(named('onDrawn').map(([{ sequence }]) => sequence), [1, 2]);
    assert.deepEqual(parts.counted.at(-1), { created: 2, closed: 2 });
    socket.pushMessage({ type: 'status', state: 'idle' });
    parts.inside.advance(0);
    await parts.worker.deliver();
    assert.deepEqual(parts.counted.at(-1), { created: 2, closed: 2 }, 'counts come with news, and not with each');
});

test('events arrive in the order in which they happened', async () => {
    const parts = await setUp();
    const { socket, seen } = await opened(parts);
    await show(parts, socket, 1);

    socket.pushMessage({ type: 'status', state: 'painting' });
    socket.drop(1013);
    parts.inside.advance(0);
    await parts.worker.deliver();

    const names = ['onHello', 'onBox', 'onDrawn', 'onPresented', 'onStatus', 'onDown'];
    assert.deepEqual(seen.map(([name]) => name), names);
    assert.deepEqual(seen.at(-1), ['onDown', 1013]);
});

test('only what the page listens to is posted', async () => {
    const parts = await setUp();
    const { worker, inside, line } = parts;
    const screen = line.create(new FakeCanvas(), OPTIONS, { onDown: () => {} });
    screen.hang(HUNG);
    screen.open();
    await worker.deliver();
    inside.socket.accept();
    inside.socket.pushMessage(hello());

    await show(parts, inside.socket, 1);
    inside.advance(200);
    await worker.deliver();

    assert.deepEqual(worker.toPage.filter(({ kind }) => kind === 'news').flatMap(({ news }) => news), []);
});

test('every method of a screen is called in the worker, in order', async () => {
    const called = [];
    const screenOf = (canvas, options) => new Proxy({}, {
        get: (_, name) => (value) => called.push([options.slug, name, value]),
    });
    const { worker, line } = await setUp({ makeScreen: screenOf });
    const left = line.create(new FakeCanvas(), OPTIONS, {});
    const right = line.create(new FakeCanvas(), { ...OPTIONS, slug: 'right' }, {});

    left.hang(HUNG);
    left.open();
    right.setVisible(false);
    left.send({ type: 'audio', level: 1 });
    left.watchFigures(true);
    left.close();
    await worker.deliver();

    assert.deepEqual(called, [
        ['left', 'hang', HUNG],
        ['left', 'open', undefined],
        ['right', 'setVisible', false],
        ['left', 'send', { type: 'audio', level: 1 }],
        ['left', 'watchFigures', true],
        ['left', 'close', undefined],
    ]);
});

test('after close nothing is called, though news was on its way, and nothing is said', async () => {
    const parts = await setUp();
    const { screen, socket, seen } = await opened(parts);
    await parts.worker.deliver();
    seen.length = 0;
    socket.pushMessage({ type: 'status', state: 'painting' });
    parts.inside.advance(0);

    screen.close();
    screen.setVisible(false);
    screen.close();
    await parts.worker.deliver();

    assert.deepEqual(seen, []);
    assert.equal(socket.closedWith.code, 1000);
    const calls = parts.worker.toWorker.filter(({ kind }) => kind === 'call').map(({ name }) => name);
    assert.deepEqual(calls, ['hang', 'open', 'close']);
});

test('a screen that was closed is not held on to in the worker', async () => {
    const worker = new FakeWorker();
    const called = [];
    const screen = { hang: () => called.push('hang'), close: () => called.push('close') };
    new Host(worker.scope, new FakeEnvironment(), () => screen);
    const canvas = new FakeCanvas();
    worker.postMessage({ kind: 'create', id: 1, canvas, options: OPTIONS, wanted: [] }, [canvas]);

    ['hang', 'close', 'hang', 'close'].forEach((name) => worker.postMessage({ kind: 'call', id: 1, name }));
    await worker.deliver();

    assert.deepEqual(called, ['hang', 'close']);
});

test('a corrupt frame is counted, and the worker goes on', async () => {
    const parts = await setUp();
    const { socket, named } = await opened(parts);
    socket.pushMessage(frame(1));
    await parts.worker.deliver();
    await parts.inside.failDecode();

    await show(parts, socket, 2);

    assert.deepEqual(named('onCorrupt'), [[1]]);
    assert.deepEqual(named('onDrawn').map(([{ sequence }]) => sequence), [2]);
});

test('a handler of the page that fails is reported and keeps nothing from the others', async () => {
    const parts = await setUp();
    const { socket, events, named } = await opened(parts);
    events.onDrawn = () => {
        throw new Error('a bug in the page');
    };

    await show(parts, socket, 1);

    assert.equal(named('onPresented').length, 1);
    assert.throws(() => parts.outside.advance(0), /a bug in the page/);
});

test('sockets in the worker ask the page’s gate', async () => {
    const probes = [];
    const gateEnvironment = new FakeEnvironment();
    const gate = new Gate(gateEnvironment, () => new Promise((resolve) => probes.push(resolve)));
    const parts = await setUp({ gate });
    const first = await opened(parts);
    assert.equal(parts.inside.sockets.length, 1, 'the first opening needs no probe');

    first.socket.drop(1006);
    await parts.worker.deliver();
    parts.inside.advance(8000);
    await parts.worker.deliver();
    gateEnvironment.advance(250);
    assert.equal(parts.inside.sockets.length, 1, 'not before the server is found');
    probes[0](true);
    await parts.worker.deliver();

    assert.equal(parts.inside.sockets.length, 2);
});

test('one that was closed while the gate let it go does not open', async () => {
    const asked = [];
    const left = [];
    const gate = {
        join: (go) => ({ ask: () => asked.push(go), leave: () => left.push('left'), lost: () => {}, proven: () => {} }),
    };
    const { worker, inside, line } = await setUp({ gate });
    const screen = line.create(new FakeCanvas(), OPTIONS, {});
    screen.open();
    await worker.deliver();

    screen.close();
    asked[0]();
    await worker.deliver();

    assert.equal(inside.sockets.length, 0);
    assert.equal(left.length, 2, 'before it asked, and when it was closed');
});

test('a worker that answers lives, whatever error it reports', async () => {
    const parts = await setUp();
    for (const type of ['error', 'messageerror']) {
        parts.worker.fail(type);
        await parts.worker.deliver();
        parts.outside.advance(5000);
    }

    for (let tick = 0; tick < 10; tick += 1) {
        parts.outside.advance(10_000);
        await parts.worker.deliver();
    }

    assert.equal(parts.lost(), 0);
    assert.equal(parts.worker.isEnded, false);
});

test('a worker that reports an error and answers no more is lost: its screens are down for good', async () => {
    const parts = await setUp();
    const { screen, seen } = await opened(parts);
    await parts.worker.deliver();
    seen.length = 0;

    parts.worker.fail();
    parts.outside.advance(4999);
    assert.equal(parts.lost(), 0);
    parts.outside.advance(1);
    assert.equal(parts.lost(), 1);
    screen.setVisible(false);
    parts.worker.fail();
    parts.outside.advance(120_000);

    assert.equal(parts.lost(), 1);
    assert.equal(parts.worker.isEnded, true);
    assert.deepEqual(seen, [['onDown']]);
    assert.equal(parts.outside.timers.size, 0);
});

test('a worker that falls silent without a word is lost after three questions', async () => {
    const { outside, lost } = await setUp();

    outside.advance(39_999);
    assert.equal(lost(), 0);
    outside.advance(1);

    assert.equal(lost(), 1);
});

test('a lost worker’s sockets leave the gate', async () => {
    const left = [];
    const gate = {
        join: () => ({ ask: () => {}, leave: () => left.push('left'), lost: () => {}, proven: () => {} }),
    };
    const { worker, outside, line } = await setUp({ gate });
    line.create(new FakeCanvas(), OPTIONS, {}).open();
    await worker.deliver();
    left.length = 0;

    outside.advance(40_000);

    assert.equal(left.length, 1);
});

/** A worker that is asked for what it can, and the page's answer. */
async function probed(answer, { patienceMs = 2000 } = {}) {
    const environment = new FakeEnvironment();
    const worker = new FakeWorker();
    let found;
    const finding = findWorker(() => worker, environment, patienceMs).then((able) => {
        found = able;
    });
    await answer({ worker, environment });
    return { worker, environment, finding, found: () => found };
}

test('a worker that has a context and decodes is taken, and used on', async () => {
    const { worker, environment, finding, found } = await probed(async ({ worker: started }) => {
        const inside = new FakeEnvironment();
        new Host(started.scope, inside);
        await started.deliver();
        // The bitmaps that it has made for this are told first.
        started.say({ kind: 'news', news: [], bitmaps: { created: 1, closed: 1 } });
        await decodeSamples(inside);
        inside.advance(200);
        await started.deliver();
    });
    await finding;

    assert.deepEqual(found().formats.toSorted(), ['jpeg', 'png', 'webp']);
    assert.equal(found().worker, worker);
    assert.equal(worker.isEnded, false);
    assert.equal(environment.timers.size, 0);
});

const REFUSALS = {
    'has no offscreen canvas': () => {
        delete globalThis.OffscreenCanvas;
    },
    'has no 2D context for one': () => {
        globalThis.OffscreenCanvas = class {
            getContext() {
                return null;
            }
        };
    },
};

for (const [what, spoil] of Object.entries(REFUSALS)) {
    test(`a worker that ${what} is ended`, async () => {
        spoil();
        const { worker, finding, found } = await probed(async ({ worker: started }) => {
            new Host(started.scope, new FakeEnvironment());
            await started.deliver();
        });
        await finding;

        assert.equal(found(), null);
        assert.equal(worker.isEnded, true);
    });
}

test('a worker that decodes nothing is ended', async () => {
    const { worker, finding, found } = await probed(async ({ worker: started }) => {
        const inside = new FakeEnvironment();
        new Host(started.scope, inside);
        await started.deliver();
        while (inside.decodes.length > 0) {
            await inside.failDecode();
        }
        await started.deliver();
    });
    await finding;

    assert.equal(found(), null);
    assert.equal(worker.isEnded, true);
});

for (const type of ['error', 'messageerror']) {
    test(`a worker that ends with ${type} is no worker`, async () => {
        const { worker, finding, found } = await probed(({ worker: started }) => started.fail(type));
        await finding;

        assert.equal(found(), null);
        assert.equal(worker.isEnded, true);
    });
}

test('a worker that is silent is ended in time, and one that answers later is not heard', async () => {
    const { worker, finding, found } = await probed(({ environment }) => environment.advance(2000));
    await finding;
    worker.say({ kind: 'able', formats: ['jpeg'] });

    assert.equal(found(), null);
    assert.equal(worker.isEnded, true);
});

test('a browser that refuses to start one has none', async () => {
    const refuse = () => {
        throw new Error('SecurityError');
    };

    assert.equal(await findWorker(refuse, new FakeEnvironment(), 2000), null);
});
