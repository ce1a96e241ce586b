import assert from 'node:assert/strict';
import test from 'node:test';

import { Roster } from '../../../client/stream/roster.js';
import { FakeEnvironment, settle } from '../fakes.js';

const LEFT = { slug: 'left', width: 512, height: 512 };
const RIGHT = { slug: 'right', width: 512, height: 512 };
const URLS = { list: '/canvases', events: 'ws://wall.test/ws' };

/** A roster whose list comes when `answer` or `fail` is called. */
function setUp(gate) {
    const environment = new FakeEnvironment();
    const told = [];
    const asked = [];
    const roster = new Roster(
        URLS,
        {
            onCanvases: (canvases) => told.push(canvases.map(({ slug }) => slug)),
            onEnd: (code) => told.push(code),
        },
        environment,
        (url) => new Promise((resolve, reject) => asked.push({ url, resolve, reject })),
        gate,
    );
    void roster.open();
    return { environment, told, asked, roster };
}

const tell = (environment, canvases) => environment.socket.push(JSON.stringify({ type: 'canvases', canvases }));

test('only the list of canvases is subscribed to', () => {
    const { environment } = setUp();

    environment.socket.accept();

    assert.deepEqual(environment.socket.sent.map((text) => JSON.parse(text)), [
        { type: 'subscribe', events: ['canvases'] },
    ]);
});

test('the list comes before the first event, and events follow', async () => {
    const { environment, told, asked } = setUp();

    asked[0].resolve({ canvases: [LEFT] });
    await settle();
    environment.socket.accept();
    tell(environment, [LEFT, RIGHT]);

    assert.equal(asked[0].url, '/canvases');
    assert.deepEqual(told, [['left'], ['left', 'right']]);
});

test('a list that comes after an event is old', async () => {
    const { environment, told, asked } = setUp();
    environment.socket.accept();
    tell(environment, [LEFT, RIGHT]);

    asked[0].resolve({ canvases: [LEFT] });
    await settle();

    assert.deepEqual(told, [['left', 'right']]);
});

for (const [what, answer] of [['nothing', null], ['an error', { error: {} }], ['no list', { canvases: 3 }]]) {
    test(`an answer that is ${what} leaves it to the events`, async () => {
        const { told, asked } = setUp();

        asked[0].resolve(answer);
        await settle();

        assert.deepEqual(told, []);
    });
}

test('a request that fails leaves it to the events', async () => {
    const { environment, told, asked } = setUp();

    asked[0].reject(new TypeError('Failed to fetch'));
    await settle();
    environment.socket.accept();
    tell(environment, [RIGHT]);

    assert.deepEqual(told, [['right']]);
});

test('a server that wants to tell no more is told of', () => {
    const { environment, told } = setUp();
    environment.socket.accept();

    environment.socket.drop(1008);
    environment.advance(60_000);

    assert.deepEqual(told, [1008]);
    assert.equal(environment.sockets.length, 1);
});

test('other events and such without a list are left alone', () => {
    const { environment, told } = setUp();
    environment.socket.accept();

    environment.socket.push('{"type":"job","job":{}}');
    environment.socket.push('{"type":"canvases"}');

    assert.deepEqual(told, []);
});

test('the page’s gate is asked', () => {
    const asked = [];
    const { environment } = setUp({
        join: (go) => ({ ask: () => asked.push(go), lost: () => {}, proven: () => {}, leave: () => {} }),
    });

    assert.equal(environment.sockets.length, 0);
    asked[0]();

    assert.equal(environment.sockets.length, 1);
});

test('a closed one tells nothing, not even the list', async () => {
    const { told, asked, roster } = setUp();

    roster.close();
    asked[0].resolve({ canvases: [LEFT] });
    await settle();

    assert.deepEqual(told, []);
});
