import assert from 'node:assert/strict';
import test from 'node:test';

import { TimeExchange } from '../../../client/stream/exchange.js';
import { FakeEnvironment } from '../fakes.js';

/** An exchange with a server whose clock is ahead; `answer` takes this long there and back. */
function setUp({ aheadMs = 500 } = {}) {
    const environment = new FakeEnvironment();
    const asked = [];
    const exchange = new TimeExchange(environment, (question) => asked.push(question));
    const answer = (rttMs = 4) => {
        const { client_sent_ms } = asked.at(-1);
        environment.advance(rttMs);
        exchange.take({ type: 'time', client_sent_ms, server_time_ms: client_sent_ms + rttMs / 2 + aheadMs });
    };
    return { environment, asked, exchange, answer };
}

test('it asks several times in a row, then some more at rest, then only when told', () => {
    const { environment, asked, exchange, answer } = setUp();

    exchange.begin();
    [1, 2, 3].forEach(() => answer());
    assert.equal(asked.length, 3);
    for (let sample = 4; sample <= 8; sample += 1) {
        environment.advance(400);
        assert.equal(asked.length, sample);
        answer();
    }
    environment.advance(60_000);

    assert.equal(asked.length, 8);
    assert.equal(environment.timers.size, 0);
});

test('the offset is known with the first answer', () => {
    const { exchange, answer } = setUp();
    exchange.begin();
    assert.equal(exchange.offsetMs, null);

    answer();

    assert.equal(exchange.offsetMs, 500);
    assert.deepEqual(exchange.best, { offset_ms: 500, rtt_ms: 4 });
});

test('a tick asks once', () => {
    const { environment, asked, exchange, answer } = setUp();
    exchange.begin();
    for (let sample = 1; sample <= 8; sample += 1) {
        answer();
        environment.advance(400);
    }
    environment.advance(6_000);

    exchange.tick();
    answer();
    environment.advance(9_000);

    assert.equal(asked.length, 9);
});

test('a tick that was held up by a sleep asks several times', () => {
    const { environment, asked, exchange, answer } = setUp();
    exchange.begin();
    for (let sample = 1; sample <= 8; sample += 1) {
        answer();
        environment.advance(400);
    }
    environment.advance(3_600_000);
    const before = asked.length;

    exchange.tick();
    answer();
    answer();

    assert.equal(asked.length, before + 3);
});

test('another connection begins without what was known', () => {
    const { exchange, answer } = setUp();
    exchange.begin();
    answer();

    exchange.begin();

    assert.equal(exchange.offsetMs, null);
    assert.equal(exchange.best, null);
});

test('a stopped one leaves no timer', () => {
    const { environment, exchange, answer } = setUp();
    exchange.begin();
    [1, 2, 3].forEach(() => answer());

    exchange.stop();

    assert.equal(environment.timers.size, 0);
});
