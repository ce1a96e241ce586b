import assert from 'node:assert/strict';
import test from 'node:test';

import { FakeEnvironment, settle } from '../fakes.js';
import { Patcher, merged } from '../../../client/studio/canvases/patcher.js';

function patching() {
    const environment = new FakeEnvironment();
    const requests = [];
    const told = [];
    const patcher = new Patcher(
        (patch) => new Promise((resolve, reject) => requests.push({ patch, resolve, reject })),
        environment,
        { onSettled: () => told.push('settled'), onError: (error) => told.push(error.message) },
    );
    const wait = () => {
        for (const [handle, { callback }] of [...environment.timers]) {
            environment.timers.delete(handle);
            callback();
        }
    };
    return { patcher, requests, told, wait, environment };
}

test('what changes within a moment goes out together', () => {
    const { patcher, requests, wait } = patching();

    patcher.change({ processing: { blur: 1 } });
    patcher.change({ processing: { blur: 2 }, fps: 8 });
    patcher.change({ processing: { hue: 30 } });
    assert.equal(requests.length, 0);
    wait();

    assert.deepEqual(requests.map(({ patch }) => patch), [{ processing: { blur: 2, hue: 30 }, fps: 8 }]);
});

test('a slider that is dragged on is followed, not waited for', () => {
    const { patcher, requests, wait, environment } = patching();

    patcher.change({ fps: 1 });
    patcher.change({ fps: 2 });
    assert.equal(environment.timers.size, 1);
    wait();
    patcher.change({ fps: 3 });
    wait();

    assert.deepEqual(requests.map(({ patch }) => patch.fps), [2]);
});

test('one request at a time: what changes meanwhile follows it', async () => {
    const { patcher, requests, told, wait } = patching();
    patcher.change({ fps: 1 });
    wait();
    patcher.change({ fps: 2 });
    wait();
    patcher.change({ fps: 3 });
    wait();
    assert.equal(requests.length, 1);

    requests[0].resolve();
    await settle();

    assert.deepEqual(requests.map(({ patch }) => patch.fps), [1, 3]);
    assert.deepEqual(told, []);
    assert.ok(patcher.isBusy);
    requests[1].resolve();
    await settle();
    assert.deepEqual(told, ['settled']);
    assert.ok(!patcher.isBusy);
});

test('an error is told, and the next change is sent all the same', async () => {
    const { patcher, requests, told, wait } = patching();
    patcher.change({ fps: 99 });
    wait();
    requests[0].reject(new Error('fps must be at most 60'));
    await settle();

    patcher.change({ fps: 60 });
    wait();
    requests[1].resolve();
    await settle();

    assert.deepEqual(told, ['fps must be at most 60', 'settled', 'settled']);
    assert.deepEqual(requests[1].patch, { fps: 60 });
});

test('whoever closes the dialog loses nothing', () => {
    const { patcher, requests, environment } = patching();
    patcher.change({ fps: 12 });

    patcher.close();

    assert.deepEqual(requests.map(({ patch }) => patch), [{ fps: 12 }]);
    assert.equal(environment.timers.size, 0);
});

test('a mapping is replaced as a whole, a group that was taken away comes back', () => {
    assert.deepEqual(merged({ audio: { mappings: [1, 2], enabled: false } }, { audio: { mappings: [3] } }), {
        audio: { mappings: [3], enabled: false },
    });
    assert.deepEqual(merged({ audio: null }, { audio: { enabled: true } }), { audio: { enabled: true } });
    assert.deepEqual(merged({ audio: { enabled: true } }, { audio: null }), { audio: null });
});

test('what is reset and then set in part goes out as two requests, in their order', async () => {
    const { patcher, requests, told, wait } = patching();

    patcher.change({ audio: { mappings: [1] } });
    patcher.change({ audio: null });
    patcher.change({ audio: { enabled: false }, fps: 8 });
    wait();
    assert.deepEqual(requests.map(({ patch }) => patch), [{ audio: null }]);
    requests[0].resolve();
    await settle();
    assert.ok(patcher.isBusy);
    requests[1].resolve();
    await settle();

    assert.deepEqual(requests.map(({ patch }) => patch), [{ audio: null }, { audio: { enabled: false }, fps: 8 }]);
    assert.deepEqual(told, ['settled']);
    assert.ok(!patcher.isBusy);
});

test('a reset that comes last is one request', () => {
    const { patcher, requests, wait } = patching();

    patcher.change({ audio: null });
    patcher.change({ audio: { enabled: false } });
    patcher.change({ audio: null });
    wait();

    assert.deepEqual(requests.map(({ patch }) => patch), [{ audio: null }]);
});

test('whoever closes the dialog loses nothing of a reset', async () => {
    const { patcher, requests } = patching();
    patcher.change({ processing: null });
    patcher.change({ processing: { blur: 2 } });

    patcher.close();
    requests[0].resolve();
    await settle();

    assert.deepEqual(requests.map(({ patch }) => patch), [{ processing: null }, { processing: { blur: 2 } }]);
});
