import assert from 'node:assert/strict';
import test from 'node:test';

import { ReconnectingSocket } from '../../../client/stream/socket.js';
import { FakeEnvironment } from '../fakes.js';

/** A socket at a gate that lets everybody go, and what it says there. */
function setUp() {
    const environment = new FakeEnvironment();
    const said = [];
    const gate = {
        join: (go) => ({
            ask: () => {
                said.push('ask');
                go();
            },
            lost: () => said.push('lost'),
            proven: () => said.push('proven'),
            leave: () => said.push('leave'),
        }),
    };
    const ignore = () => {};
    const handlers = { onOpen: ignore, onMessage: ignore, onTick: ignore, onDown: ignore, onEnd: ignore };
    const socket = new ReconnectingSocket('ws://wall.test/ws', [], handlers, environment, gate);
    socket.open();
    environment.socket.accept();
    said.length = 0;
    return { environment, said, socket };
}

test('a peer that still talks after a while has proven itself, though it sends no pictures', () => {
    const { environment, said } = setUp();
    environment.socket.push('hello');

    environment.advance(9999);
    assert.deepEqual(said, []);
    environment.advance(1);

    assert.deepEqual(said, ['proven']);
});

test('what was heard on the connection before proves nothing', () => {
    const { environment, said } = setUp();
    environment.socket.push('hello');
    environment.socket.drop(1006);
    environment.advance(125);
    environment.socket.accept();

    environment.advance(20_000);

    assert.deepEqual(said, ['lost', 'ask']);
});

test('the gate hears of a loss before anybody may close the socket for it', () => {
    const { environment, said, socket } = setUp();
    const dropped = environment.socket;

    socket.retry('a test');
    socket.close();
    environment.advance(60_000);

    assert.deepEqual(said, ['lost', 'leave']);
    assert.equal(dropped.closedWith.code, 4000);
    assert.equal(environment.timers.size, 0);
});
