import assert from 'node:assert/strict';
import test from 'node:test';

import { Connection } from '../../../client/stream/connection.js';
import { FakeEnvironment, HELLO, frame } from '../fakes.js';

const VIEWER = { viewport: { width: 960, height: 540 }, formats: ['jpeg', 'png'], visible: true };
const TIMINGS = { received_ms: 1, decoded_ms: 2, presented_ms: 3, skipped: 0 };

function setUp() {
    const environment = new FakeEnvironment();
    const seen = [];
    const frames = [];
    const downs = [];
    const connection = new Connection(
        'ws://wall.test/ws/left',
        VIEWER,
        {
            onHello: ({ canvas }) => seen.push(`hello ${canvas.slug}`),
            onFrame: (message, acknowledge) => frames.push({ sequence: message.sequence, acknowledge }),
            onStatus: ({ state }) => seen.push(`status ${state}`),
            onDown: (code) => {
                seen.push('down');
                downs.push(code);
            },
            onEnd: (code) => seen.push(`end ${code}`),
        },
        environment,
    );
    connection.open();
    return { environment, seen, frames, downs, connection };
}

function greet(environment) {
    environment.socket.accept();
    environment.socket.pushMessage(HELLO);
}

/** Answer the open `time` question as a server with this clock would. */
function answerTime(environment, serverTimeMs) {
    const [question] = environment.socket.take('time');
    environment.socket.pushMessage({ ...question, server_time_ms: serverTimeMs });
}

test('the msgpack sub-protocol is asked for, and binary messages as buffers', () => {
    const { environment } = setUp();

    assert.deepEqual(environment.socket.protocols, ['psyche.v1.msgpack']);
    assert.equal(environment.socket.binaryType, 'arraybuffer');
});

test('hello is answered with ready', () => {
    const { environment, seen } = setUp();

    environment.socket.accept();
    assert.deepEqual(environment.socket.sent, [], 'the server speaks first');
    environment.socket.pushMessage(HELLO);

    assert.deepEqual(environment.socket.take('ready'), [{ type: 'ready', ...VIEWER }]);
    assert.deepEqual(seen, ['hello left']);
});

test('a frame is acknowledged with its timings', () => {
    const { environment, frames } = setUp();
    greet(environment);
    environment.socket.pushMessage(frame(7));
    environment.socket.take();

    frames[0].acknowledge({ ...TIMINGS, presented_ms: undefined });

    assert.deepEqual(environment.socket.take(), [
        { type: 'ack', sequence: 7, received_ms: 1, decoded_ms: 2, skipped: 0 },
    ]);
});

test('an acknowledgement that says nothing new is not sent', () => {
    const { environment, frames } = setUp();
    greet(environment);
    environment.socket.pushMessage(frame(7));
    environment.socket.pushMessage(frame(8));

    frames[1].acknowledge(TIMINGS);
    frames[0].acknowledge(TIMINGS);

    assert.deepEqual(environment.socket.take('ack').map(({ sequence }) => sequence), [8]);
});

test('a new hello forgets the sequences of the one before', () => {
    const { environment, frames } = setUp();
    greet(environment);
    environment.socket.pushMessage(frame(500));
    environment.socket.pushMessage({ ...HELLO, epoch: 'second' });
    environment.socket.pushMessage(frame(1));

    frames[0].acknowledge(TIMINGS);
    frames[1].acknowledge(TIMINGS);

    assert.deepEqual(environment.socket.take('ack').map(({ sequence }) => sequence), [1]);
});

test('a frame of a lost connection is not acknowledged on the next one', () => {
    const { environment, frames } = setUp();
    greet(environment);
    environment.socket.pushMessage(frame(500));
    environment.socket.drop(1006);
    environment.advance(250);
    greet(environment);

    frames[0].acknowledge(TIMINGS);

    assert.equal(environment.sockets.length, 2);
    assert.deepEqual(environment.socket.take('ack'), []);
});

test('three quick time exchanges follow hello, and acks carry the best', () => {
    const { environment, frames } = setUp();
    greet(environment);
    for (const [rttMs, offsetMs] of [[40, 510], [10, 500], [30, 520]]) {
        const askedMs = environment.nowMs();
        environment.advance(rttMs);
        answerTime(environment, askedMs + rttMs / 2 + offsetMs);
    }
    assert.deepEqual(environment.socket.take('time'), [], 'no other follows at once');

    environment.socket.pushMessage(frame(1));
    frames[0].acknowledge(TIMINGS);

    assert.deepEqual(environment.socket.take('ack'), [
        { type: 'ack', sequence: 1, ...TIMINGS, offset_ms: 500, rtt_ms: 10 },
    ]);
});

test('a new hello forgets the clock of the one before', () => {
    const { environment, frames } = setUp();
    greet(environment);
    answerTime(environment, environment.nowMs() + 500);

    environment.socket.pushMessage({ ...HELLO, epoch: 'second' });
    environment.socket.pushMessage(frame(1));
    frames[0].acknowledge(TIMINGS);

    assert.equal('offset_ms' in environment.socket.take('ack')[0], false);
});

test('the server’s clock is told when it is known better, and only then', () => {
    const environment = new FakeEnvironment();
    const told = [];
    const connection = new Connection('ws://wall.test/ws/left', VIEWER, {
        onHello: () => {},
        onClock: (clock) => told.push(clock),
        onDown: () => {},
    }, environment);
    connection.open();
    greet(environment);
    assert.equal(connection.clock, null);

    for (const [rttMs, offsetMs] of [[40, 510], [10, 500], [30, 520]]) {
        const askedMs = environment.nowMs();
        environment.advance(rttMs);
        answerTime(environment, askedMs + rttMs / 2 + offsetMs);
    }

    assert.deepEqual(told, [{ offset_ms: 510, rtt_ms: 40 }, { offset_ms: 500, rtt_ms: 10 }]);
    assert.equal(connection.clock, told[1]);
});

test('a size that is learned from hello goes with the first ready', () => {
    const environment = new FakeEnvironment();
    const connection = new Connection('ws://wall.test/ws/left', VIEWER, {
        onHello: () => connection.resize({ width: 300, height: 200 }),
    }, environment);
    connection.open();

    greet(environment);
    environment.advance(1000);

    assert.deepEqual(environment.socket.take('ready').map(({ viewport }) => viewport), [{ width: 300, height: 200 }]);
});

test('the page’s gate lets it open, and hears what becomes of it', () => {
    const environment = new FakeEnvironment();
    const heard = [];
    let go = null;
    const gate = {
        join: (open) => {
            go = open;
            const hear = (name) => () => heard.push(name);
            return { ask: hear('ask'), lost: hear('lost'), proven: hear('proven'), leave: hear('leave') };
        },
    };
    const handlers = { onHello: () => {}, onFrame: () => {}, onDown: () => heard.push('down'), onEnd: () => {} };
    const connection = new Connection('ws://wall.test/ws/left', VIEWER, handlers, environment, gate);

    connection.open();
    assert.equal(environment.sockets.length, 0, 'not before it is let go');
    go();
    greet(environment);
    environment.socket.pushMessage(frame(1));
    environment.socket.drop(1006);
    environment.advance(125);
    go();
    environment.socket.drop(4404);

    assert.deepEqual(heard, ['leave', 'ask', 'proven', 'lost', 'down', 'ask', 'leave', 'down']);
});

test('ready is sent again once a resize has come to rest', () => {
    const { environment, connection } = setUp();
    greet(environment);
    environment.socket.take();

    connection.resize({ width: 800, height: 450 });
    environment.advance(150);
    connection.resize({ width: 640, height: 360 });
    environment.advance(150);
    assert.deepEqual(environment.socket.take('ready'), []);
    environment.advance(50);

    assert.deepEqual(environment.socket.take('ready').map(({ viewport }) => viewport), [{ width: 640, height: 360 }]);
});

test('a resize to the same size is none', () => {
    const { environment, connection } = setUp();
    greet(environment);
    environment.socket.take();

    connection.resize({ ...VIEWER.viewport });
    environment.advance(1000);

    assert.deepEqual(environment.socket.take('ready'), []);
});

test('nothing is said on a new connection before its hello', () => {
    const { environment, connection } = setUp();
    greet(environment);
    environment.socket.drop(1006);
    environment.advance(250);
    environment.socket.accept();

    connection.setVisible(false);

    assert.deepEqual(environment.socket.take(), []);
});

test('ready is sent again at once when the page is hidden', () => {
    const { environment, connection } = setUp();
    greet(environment);
    environment.socket.take();

    connection.setVisible(false);
    connection.setVisible(false);

    assert.deepEqual(environment.socket.take('ready').map(({ visible }) => visible), [false]);
});

test('what changed before hello is told at hello', () => {
    const { environment, connection } = setUp();

    connection.setVisible(false);
    connection.resize({ width: 10, height: 20 });
    environment.advance(300);
    greet(environment);

    const [{ visible, viewport }] = environment.socket.take('ready');
    assert.deepEqual([visible, viewport], [false, { width: 10, height: 20 }]);
});

for (const code of [1002, 1008, 4404]) {
    test(`close code ${code} is the end`, () => {
        const { environment, seen } = setUp();
        greet(environment);

        environment.socket.drop(code);
        environment.advance(60_000);

        assert.equal(environment.sockets.length, 1);
        assert.deepEqual(seen, ['hello left', 'down', `end ${code}`]);
    });
}

for (const code of [1000, 1001, 1006, 1009, 1011, 1013, 4408]) {
    test(`close code ${code} is followed by another attempt`, () => {
        const { environment, seen } = setUp();
        greet(environment);

        environment.socket.drop(code);
        environment.advance(250);

        assert.equal(environment.sockets.length, 2);
        assert.deepEqual(seen, ['hello left', 'down']);
    });
}

test('a connection that is down says with which code it was closed, where it was', () => {
    const { environment, downs } = setUp();

    environment.socket.drop(1013);
    environment.advance(125);
    greet(environment);
    environment.advance(30_000 + 250);
    environment.socket.drop(4404);

    assert.deepEqual(downs, [1013, undefined, 4404]);
});

test('a bye that wants no other attempt is the end', () => {
    const { environment, seen } = setUp();
    greet(environment);

    environment.socket.pushMessage({ type: 'bye', reason: 'deleted', reconnect: false });
    environment.advance(60_000);

    assert.equal(environment.sockets.length, 1);
    assert.equal(environment.socket.closedWith.code, 1000);
    assert.deepEqual(seen, ['hello left', 'down', 'end 4404']);
});

test('a bye that allows another attempt waits for the close', () => {
    const { environment, seen } = setUp();
    greet(environment);

    environment.socket.pushMessage({ type: 'bye', reason: 'shutdown', reconnect: true });
    assert.deepEqual(seen, ['hello left']);
    environment.socket.drop(1001);
    environment.advance(250);

    assert.equal(environment.sockets.length, 2);
});

test('waits double up to their cap, whole only where the jitter says so', () => {
    const { environment } = setUp();
    environment.randomValue = 0.999;
    const waits = [];

    for (let attempt = 0; attempt < 8; attempt += 1) {
        environment.socket.drop(1006);
        const [timer] = environment.timers.values();
        waits.push(Math.round(timer.delayMs / 0.999));
        environment.advance(timer.delayMs);
    }

    assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
});

test('a frame resets the backoff, and hello does not', () => {
    const { environment } = setUp();
    const waitAfterDrop = () => {
        environment.socket.drop(1006);
        const [timer] = environment.timers.values();
        environment.advance(timer.delayMs);
        return timer.delayMs;
    };

    waitAfterDrop();
    waitAfterDrop();
    greet(environment);
    const afterHello = waitAfterDrop();
    greet(environment);
    environment.socket.pushMessage(frame(1));
    const afterFrame = waitAfterDrop();

    assert.deepEqual([afterHello, afterFrame], [500, 125]);
});

test('a peer that is silent for three intervals is left for another attempt', () => {
    const { environment, seen } = setUp();
    greet(environment);
    const dead = environment.socket;

    environment.advance(29_999);
    assert.equal(environment.sockets.length, 1);
    environment.advance(1 + 125);

    assert.equal(environment.sockets.length, 2);
    assert.equal(dead.closedWith.code, 4000);
    assert.deepEqual(seen, ['hello left', 'down']);
    dead.drop(1006);
    environment.advance(1000);
    assert.equal(environment.sockets.length, 2, 'the dead one is not heard any more');
});

test('a silent peer is asked for the time, and its answer keeps the connection', () => {
    const { environment } = setUp();
    greet(environment);
    environment.socket.take();

    for (let interval = 0; interval < 10; interval += 1) {
        environment.advance(10_000);
        answerTime(environment, 0);
    }

    assert.equal(environment.sockets.length, 1);
});

test('an attempt that never opens is given up', () => {
    const { environment } = setUp();

    environment.advance(30_000 + 125);

    assert.equal(environment.sockets.length, 2);
});

test('a malformed message ends the connection, not the stream', () => {
    const { environment, seen } = setUp();
    greet(environment);
    const spoiled = environment.socket;

    spoiled.push(new Uint8Array([0xc1]).buffer);
    environment.advance(250);

    assert.equal(spoiled.closedWith.code, 4000);
    assert.equal(environment.sockets.length, 2);
    assert.deepEqual(seen, ['hello left', 'down']);
});

test('a frame before hello is malformed', () => {
    const { environment, frames } = setUp();
    environment.socket.accept();

    environment.socket.pushMessage(frame(1));
    environment.advance(250);

    assert.deepEqual(frames, []);
    assert.equal(environment.sockets.length, 2);
});

test('a message of an unknown type is passed over', () => {
    const { environment, seen } = setUp();
    greet(environment);

    environment.socket.pushMessage({ type: 'horoscope', text: 'you will meet a frame' });
    environment.socket.pushMessage({ type: 'status', state: 'painting' });

    assert.deepEqual(seen, ['hello left', 'status painting']);
});

test('a closed connection stays closed and leaves no timer', () => {
    const { environment, connection, seen } = setUp();
    greet(environment);
    connection.resize({ width: 10, height: 10 });

    connection.close();
    environment.socket.drop(1006);

    assert.equal(environment.timers.size, 0);
    assert.deepEqual(seen, ['hello left']);
});

test('close during a wait cancels the attempt', () => {
    const { environment, connection } = setUp();
    environment.socket.drop(1006);

    connection.close();
    environment.advance(60_000);

    assert.equal(environment.sockets.length, 1);
});

test('a connection that ended can be opened again', () => {
    const { environment, connection } = setUp();
    environment.socket.drop(4404);

    connection.open();
    greet(environment);

    assert.equal(environment.sockets.length, 2);
    assert.equal(environment.socket.take('ready').length, 1);
});
