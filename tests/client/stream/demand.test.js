/** What a connection tells the server of its screen, and the clock that it keeps meanwhile. */

import assert from 'node:assert/strict';
import test from 'node:test';

import { Connection } from '../../../client/stream/connection.js';
import { FakeEnvironment, HELLO, frame } from '../fakes.js';

const TIMINGS = { received_ms: 1, decoded_ms: 2, presented_ms: 3, skipped: 0 };

function setUp(viewer = {}) {
    const environment = new FakeEnvironment();
    const acknowledges = [];
    const connection = new Connection(
        'ws://wall.test/ws/left',
        { viewport: { width: 960, height: 540 }, formats: ['jpeg'], visible: true, ...viewer },
        {
            onHello: () => {},
            onFrame: (_, acknowledge) => acknowledges.push(acknowledge),
            onStatus: () => {},
            onDown: () => {},
            onEnd: () => {},
        },
        environment,
    );
    connection.open();
    environment.socket.accept();
    environment.socket.pushMessage(HELLO);
    return { environment, acknowledges, connection };
}

test('a frame that comes again in a better tier is acknowledged again', () => {
    const { environment, acknowledges } = setUp();
    environment.socket.pushMessage(frame(7, { tier: 'jpeg-50-70' }));
    acknowledges[0](TIMINGS);
    environment.socket.pushMessage(frame(7, { tier: 'original' }));

    acknowledges[1](TIMINGS);

    assert.deepEqual(environment.socket.take('ack').map(({ sequence }) => sequence), [7, 7]);
});

test('the first rendition is not acknowledged after the better one', () => {
    const { environment, acknowledges } = setUp();
    environment.socket.pushMessage(frame(7, { tier: 'jpeg-50-70' }));
    environment.socket.pushMessage(frame(7, { tier: 'original' }));

    acknowledges[1](TIMINGS);
    acknowledges[0](TIMINGS);

    assert.equal(environment.socket.take('ack').length, 1);
});

test('a frame that was released when it came is told of once it is presented', () => {
    const { environment, acknowledges } = setUp();
    [7, 8, 9].forEach((sequence) => environment.socket.pushMessage(frame(sequence)));
    const released = { received_ms: 1, skipped: 0 };
    acknowledges.forEach((acknowledge) => acknowledge(released));
    environment.socket.take();

    acknowledges[0](TIMINGS);
    acknowledges[2](TIMINGS);
    acknowledges[1](TIMINGS);

    assert.deepEqual(
        environment.socket.take('ack').map(({ sequence, presented_ms }) => [sequence, presented_ms]),
        [[7, 3], [9, 3]],
    );
});

test('a screen that wants few frames says so with everything else', () => {
    const { environment, connection } = setUp({ max_fps: 2 });
    connection.setVisible(false);

    assert.deepEqual(environment.socket.take('ready').map((ready) => ready.max_fps), [2, 2]);
});

test('a page that returns asks for the time again: it may have slept', () => {
    const { environment, connection } = setUp();
    connection.setVisible(false);
    environment.socket.take();

    connection.setVisible(true);

    assert.deepEqual(environment.socket.take().map(({ type }) => type), ['ready', 'time']);
});

test('the offset is what the exchange has found, and unknown before', () => {
    const { environment, connection } = setUp();
    assert.equal(connection.offsetMs, null);
    const [question] = environment.socket.take('time');

    environment.socket.pushMessage({ ...question, server_time_ms: question.client_sent_ms + 321 });

    assert.equal(connection.offsetMs, 321);
});

test('a lost connection asks nobody for the time', () => {
    const { environment } = setUp();
    for (let answer = 0; answer < 3; answer += 1) {
        const [question] = environment.socket.take('time');
        environment.socket.pushMessage({ ...question, server_time_ms: 0 });
    }

    environment.socket.drop(1006);

    assert.equal(environment.timers.size, 1, 'only the next attempt');
});
