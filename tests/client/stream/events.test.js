import assert from 'node:assert/strict';
import test from 'node:test';

import { EventsSocket } from '../../../client/stream/events.js';
import { FakeEnvironment } from '../fakes.js';

function setUp() {
    const environment = new FakeEnvironment();
    const seen = [];
    const socket = new EventsSocket(
        'ws://studio.test/ws',
        ['canvases', 'jobs'],
        {
            onEvent: (event) => seen.push(event),
            onUp: () => seen.push('up'),
            onDown: () => seen.push('down'),
            onEnd: (code) => seen.push(['end', code]),
        },
        environment,
    );
    socket.open();
    return { environment, seen, socket };
}

const said = (environment) => environment.socket.sent.splice(0).map((text) => JSON.parse(text));

test('what is wanted is said at each opening', () => {
    const { environment, seen } = setUp();
    environment.socket.accept();
    assert.deepEqual(said(environment), [{ type: 'subscribe', events: ['canvases', 'jobs'] }]);

    environment.socket.drop(1001);
    environment.advance(250);
    environment.socket.accept();

    assert.deepEqual(said(environment), [{ type: 'subscribe', events: ['canvases', 'jobs'] }]);
    assert.deepEqual(seen, ['up', 'down', 'up']);
});

test('events are told, answers to pings and what is no event are not', () => {
    const { environment, seen } = setUp();
    environment.socket.accept();

    const nonsense = ['pong', '[1]', 'null', '{"type":7}', '{', '""'];
    const texts = ['{"type":"job","job":{"id":"a"}}', '{"type":"pong"}', ...nonsense];
    texts.forEach((text) => environment.socket.push(text));

    assert.deepEqual(seen, ['up', { type: 'job', job: { id: 'a' } }]);
});

test('a quiet peer is asked for a sign of life, and a dead one is left', () => {
    const { environment, seen } = setUp();
    environment.socket.accept();
    said(environment);

    environment.advance(10_000);
    assert.deepEqual(said(environment), [{ type: 'ping' }]);
    environment.advance(20_000 + 125);

    assert.equal(environment.sockets.length, 2);
    assert.deepEqual(seen, ['up', 'down']);
});

test('a message goes to the server, and to nobody while the connection is down', () => {
    const { environment, socket } = setUp();

    socket.send({ type: 'subscribe', session_id: 'a' });
    environment.socket.accept();
    said(environment);
    socket.send({ type: 'subscribe', session_id: 'b' });

    assert.deepEqual(said(environment), [{ type: 'subscribe', session_id: 'b' }]);
});

test('an event proves the peer, so that the next attempt comes quickly', () => {
    const { environment } = setUp();
    for (let attempt = 0; attempt < 5; attempt += 1) {
        environment.socket.drop(1006);
        environment.advance(8000);
    }
    environment.socket.accept();
    environment.socket.push('{"type":"canvases","canvases":[]}');

    environment.socket.drop(1006);
    environment.advance(125);

    assert.equal(environment.sockets.length, 7);
});

test('an end is told with its code, and nothing is tried any more', () => {
    const { environment, seen } = setUp();
    environment.socket.accept();

    environment.socket.drop(1008);
    environment.advance(60_000);

    assert.deepEqual(seen, ['up', 'down', ['end', 1008]]);
    assert.equal(environment.sockets.length, 1);
});

test('a closed one says nothing and leaves no timer', () => {
    const { environment, seen, socket } = setUp();
    environment.socket.accept();

    socket.close();
    environment.socket.push('{"type":"canvases","canvases":[]}');

    assert.deepEqual(seen, ['up']);
    assert.equal(environment.timers.size, 0);
});
