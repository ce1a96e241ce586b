import assert from 'node:assert/strict';
import test from 'node:test';

import { Gate } from '../../../client/stream/gate.js';
import { FakeEnvironment, settle } from '../fakes.js';
import { PageOfSockets } from './fakes.js';

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
const MINUTE_MS = 60_000;

for (const state of ['down', 'hanging', 'ailing']) {
    test(`sixteen sockets of a server that is ${state} knock once a second, and are back in time`, async () => {
        for (const seed of SEEDS) {
            const page = new PageOfSockets(16, seed);
            await page.start();

            page.stop(state);
            await page.pass(MINUTE_MS);
            assert.ok(page.attempts.length <= 60, `${page.attempts.length} attempts, seed ${seed}`);
            assert.deepEqual(page.of('socket'), [], 'no socket before a probe has found the server well');
            assert.ok(page.attempts.length >= 10, 'it goes on asking');

            page.state = 'up';
            const tookMs = await page.untilOpen(16);
            assert.ok(tookMs <= 8000, `back after ${tookMs} ms, seed ${seed}`);
        }
    });
}

test('a server that is away for a second is asked by one probe, and its sockets come one after the other', async () => {
    const page = new PageOfSockets(16);
    await page.start();

    page.stop();
    page.state = 'up';
    await page.untilOpen(16);

    assert.equal(page.of('probe').length, 1);
    const times = page.of('socket').map(({ atMs }) => atMs);
    assert.equal(times.length, 16);
    assert.ok(times[1] - times[0] >= 200, 'the first one finds out whether sockets open at all');
    assert.ok(times[15] - times[0] <= 2000, `spread over ${times[15] - times[0]} ms`);
    assert.ok(times.slice(2).every((atMs, index) => atMs - times[index + 1] >= 20), 'never two at once');
});

test('the first sockets of a page need no probe, and come a little apart', async () => {
    const page = new PageOfSockets(16);

    page.sockets.forEach((socket) => socket.open());
    assert.equal(page.attempts.length, 1, 'the first one at once');
    await page.untilOpen(16);

    assert.deepEqual(page.of('probe'), []);
    assert.ok(page.attempts.at(-1).atMs <= 1000);
});

test('sixteen sockets that are refused by a server that is well knock once a second', async () => {
    for (const seed of SEEDS) {
        const page = new PageOfSockets(16, seed);
        await page.start();

        page.stop('refusing');
        await page.pass(MINUTE_MS);
        const first = page.attempts.length;
        assert.ok(first <= 60, `${first} attempts in the first minute, seed ${seed}`);
        await page.pass(MINUTE_MS);
        const second = page.attempts.length - first;
        assert.ok(second <= 60, `${second} attempts in the second minute, seed ${seed}`);

        page.state = 'up';
        assert.ok((await page.untilOpen(16)) <= 20_000);
    }
});

test('sixteen sockets that are taken and dropped again knock once a second in the long run', async () => {
    const page = new PageOfSockets(16);
    page.greets = false;
    await page.start();
    const dropping = () => {
        [...page.open.values()].forEach((socket) => socket.drop(1013));
        page.environment.setTimer(dropping, 50);
    };
    dropping();

    await page.pass(MINUTE_MS);
    page.attempts = [];
    await page.pass(MINUTE_MS);

    assert.ok(page.attempts.length <= 61, `${page.attempts.length} attempts`);
});

test('one canvas that is full does not keep the others from coming back', async () => {
    const page = new PageOfSockets(15);
    const full = page.join('full');
    await page.start();
    const openSocket = page.environment.openSocket;
    page.environment.openSocket = (url, protocols) => {
        const socket = openSocket(url, protocols);
        if (url === 'full') {
            page.environment.setTimer(() => socket.drop(1013), 1);
        }
        return socket;
    };
    full.open();
    await page.pass(10_000);

    page.stop();
    await page.pass(10_000);
    page.state = 'up';

    assert.ok((await page.untilOpen(15)) <= 8000);
});

test('a canvas that has ended asks for nothing any more', async () => {
    const page = new PageOfSockets(1);
    await page.start();

    page.open.get('canvas-1').drop(4404);
    await page.pass(MINUTE_MS);

    assert.deepEqual(page.attempts, []);
    assert.deepEqual(page.ended, [{ name: 'canvas-1', code: 4404 }]);
});

test('one that is closed while the server is away ends the asking with it', async () => {
    const page = new PageOfSockets(2);
    await page.start();
    page.stop();
    await page.pass(5000);

    page.sockets.forEach((socket) => socket.close());
    page.attempts = [];
    await page.pass(MINUTE_MS);

    assert.deepEqual(page.attempts, []);
});

test('sockets that rest on what they show are proven by the life of their peer', async () => {
    const page = new PageOfSockets(16);
    page.greets = false;
    await page.start();
    await page.pass(MINUTE_MS);

    for (let outage = 0; outage < 5; outage += 1) {
        page.stop();
        await page.pass(1000);
        page.state = 'up';
        assert.ok((await page.untilOpen(16)) <= 8000, `outage ${outage}`);
        await page.pass(30_000);
    }
});

test('sockets that are lost together before they were proven are not charged as if each had been refused', async () => {
    for (const seed of SEEDS) {
        const page = new PageOfSockets(16, seed);
        page.greets = false;
        await page.start();

        page.stop();
        await page.pass(3000);
        page.state = 'up';

        const tookMs = await page.untilOpen(16);
        assert.ok(tookMs <= 12_000, `back after ${tookMs} ms, seed ${seed}`);
    }
});

test('the network that comes back hurries the probe, and one that flutters does so once a second', async () => {
    const page = new PageOfSockets(1);
    await page.start();
    page.stop();
    await page.pass(MINUTE_MS);
    page.environment.random = () => 0.999;
    while (page.of('probe').at(-1).atMs + 1000 > page.environment.elapsedMs) {
        await page.pass(10);
    }
    page.attempts = [];

    page.gate.hurry();
    page.gate.hurry();
    assert.equal(page.attempts.length, 1, 'one at once');
    await page.pass(10);
    for (let flutter = 0; flutter < 90; flutter += 1) {
        page.gate.hurry();
        await page.pass(10);
    }

    assert.equal(page.attempts.length, 1, 'and none for a second');
});

test('once a lost socket is back, others open as quickly as at the start', async () => {
    const page = new PageOfSockets(1);
    await page.start();
    page.stop();
    await page.pass(1000);
    page.state = 'up';
    await page.untilOpen(1);

    const others = ['one', 'two', 'three'].map((name) => page.join(name));
    others.forEach((socket) => socket.open());

    assert.ok((await page.untilOpen(4)) <= 400);
});

test('each outage is asked about quickly at first, however long the one before was', async () => {
    const page = new PageOfSockets(1);
    await page.start();
    page.stop();
    await page.pass(MINUTE_MS);
    page.state = 'up';
    await page.untilOpen(1);
    await page.pass(30_000);

    page.attempts = [];
    page.environment.random = () => 0.999;
    page.stop();
    await page.pass(600);

    assert.ok(page.of('probe').length >= 1, 'within the quarter of a second that the socket itself waits');
});

test('hurry means nothing while all is well', async () => {
    const page = new PageOfSockets(1);
    await page.start();

    page.gate.hurry();
    await page.pass(5000);

    assert.deepEqual(page.attempts, []);
});

test('a probe that never ends is given up and aborted', async () => {
    const environment = new FakeEnvironment();
    const signals = [];
    const gate = new Gate(environment, (signal) => {
        signals.push(signal);
        return new Promise(() => {});
    });
    const entrance = gate.join(() => {});
    entrance.lost();
    entrance.ask();
    environment.advance(250);
    assert.equal(signals.length, 1);

    environment.advance(3000);
    await settle();
    environment.advance(1000);

    assert.deepEqual(signals.map(({ aborted }) => aborted), [true, false]);
});

test('whoever leaves after it has asked is not let go', async () => {
    const environment = new FakeEnvironment();
    const gone = [];
    const gate = new Gate(environment, () => Promise.resolve(true));
    const [one, other] = ['one', 'other'].map((name) => gate.join(() => gone.push(name)));
    one.lost();
    one.ask();
    other.ask();

    one.leave();
    environment.advance(250);
    await settle();
    environment.advance(5000);

    assert.deepEqual(gone, ['other']);
});
