import assert from 'node:assert/strict';
import test from 'node:test';

import { keepAwake } from '../../../client/page/wakelock.js';
import { FakeEnvironment, settle } from '../fakes.js';
import { FakePage } from './fakes.js';

class FakeLock extends EventTarget {
    released = false;

    release() {
        this.released = true;
        this.dispatchEvent(new Event('release'));
        return Promise.resolve();
    }
}

function setUp({ visibilityState = 'visible', request = () => Promise.resolve(new FakeLock()) } = {}) {
    const page = Object.assign(new FakePage(), { visibilityState });
    const locks = [];
    let asked = 0;
    const wakeLock = {
        request: async (kind) => {
            assert.equal(kind, 'screen');
            asked += 1;
            const lock = await request();
            locks.push(lock);
            return lock;
        },
    };
    const environment = new FakeEnvironment();
    const letSleep = keepAwake({ wakeLock, page, environment });
    const turn = (state) => {
        page.visibilityState = state;
        page.send('visibilitychange');
    };
    return { environment, locks, letSleep, turn, asked: () => asked };
}

test('the display is kept awake from the start', async () => {
    const { locks } = setUp();
    await settle();

    assert.equal(locks.length, 1);
    assert.equal(locks[0].released, false);
});

test('a page that is back in front asks again for what was taken away', async () => {
    const { locks, turn } = setUp();
    await settle();

    turn('hidden');
    locks[0].released = true;
    await settle();
    assert.equal(locks.length, 1);
    turn('visible');
    await settle();

    assert.equal(locks.length, 2);
});

test('a lock that still holds is not asked for again', async () => {
    const { locks, turn } = setUp();
    await settle();

    turn('visible');
    await settle();

    assert.equal(locks.length, 1);
});

test('what is taken from a page in front is asked for again after a while, and not in a hurry', async () => {
    const { environment, locks, letSleep } = setUp();
    await settle();

    await locks[0].release();
    await settle();
    assert.equal(locks.length, 1);
    environment.advance(30_000);
    await settle();
    assert.equal(locks.length, 2);

    await letSleep();
    environment.advance(60_000);
    await settle();
    assert.equal(locks.length, 2, 'what was let go is not');
    assert.equal(environment.timers.size, 0);
});

test('a page in front that was refused asks again after a while, however often', async () => {
    let isCharged = false;
    const { environment, locks, asked } = setUp({
        request: () => (isCharged ? Promise.resolve(new FakeLock()) : Promise.reject(new Error('NotAllowedError'))),
    });
    await settle();
    for (const count of [2, 3]) {
        environment.advance(30_000);
        await settle();
        assert.equal(asked(), count);
    }

    isCharged = true;
    environment.advance(30_000);
    await settle();

    assert.equal(locks.length, 1);
    assert.equal(environment.timers.size, 0);
});

test('a page that starts hidden asks once it is shown', async () => {
    const { locks, turn } = setUp({ visibilityState: 'hidden' });
    await settle();
    assert.equal(locks.length, 0);

    turn('visible');
    await settle();

    assert.equal(locks.length, 1);
});

test('a refusal is quiet, and the next time that the page comes to the front is another chance', async () => {
    const { asked, turn } = setUp({ request: () => Promise.reject(new Error('NotAllowedError')) });
    await settle();

    turn('visible');
    await settle();

    assert.equal(asked(), 2);
});

test('nobody asks twice at once', async () => {
    let answer;
    const { asked, turn } = setUp({ request: () => new Promise((resolve) => { answer = resolve; }) });

    turn('visible');
    answer(new FakeLock());
    await settle();

    assert.equal(asked(), 1);
});

test('whoever is done lets the display sleep, and what comes later is let go at once', async () => {
    const { locks, letSleep, turn } = setUp();
    await settle();
    await letSleep();
    assert.equal(locks[0].released, true);
    turn('visible');
    await settle();
    assert.equal(locks.length, 1);

    let answer;
    const late = setUp({ request: () => new Promise((resolve) => { answer = resolve; }) });
    await late.letSleep();
    answer(new FakeLock());
    await settle();

    assert.equal(late.locks[0].released, true);
});

test('a browser that knows no such thing is left alone', async () => {
    const letSleep = keepAwake({ wakeLock: null, page: new FakePage(), environment: new FakeEnvironment() });

    await letSleep();
});
