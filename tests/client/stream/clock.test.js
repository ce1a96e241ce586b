import assert from 'node:assert/strict';
import test from 'node:test';

import { Clock } from '../../../client/stream/clock.js';

/** One exchange: asked at a browser's time, over a route of this length, with a server ahead by an offset. */
function exchange(clock, { sentMs, outMs, backMs, offsetMs }) {
    const { client_sent_ms } = clock.ask(sentMs);
    const answer = { type: 'time', client_sent_ms, server_time_ms: sentMs + outMs + offsetMs };
    clock.take(answer, sentMs + outMs + backMs);
}

test('there is no estimate before the first answer', () => {
    const clock = new Clock();
    clock.ask(0);

    assert.equal(clock.best, null);
});

test('the offset is what the server is ahead, on an even route', () => {
    const clock = new Clock();

    exchange(clock, { sentMs: 1000, outMs: 20, backMs: 20, offsetMs: -250 });

    assert.deepEqual(clock.best, { offset_ms: -250, rtt_ms: 40 });
});

test('the exchange with the shortest round trip is believed', () => {
    const clock = new Clock();

    exchange(clock, { sentMs: 0, outMs: 300, backMs: 10, offsetMs: 100 });
    exchange(clock, { sentMs: 1000, outMs: 5, backMs: 5, offsetMs: 100 });
    exchange(clock, { sentMs: 2000, outMs: 10, backMs: 200, offsetMs: 100 });

    assert.deepEqual(clock.best, { offset_ms: 100, rtt_ms: 10 });
});

test('an old sample is forgotten, so that the estimate follows a drift', () => {
    const clock = new Clock();
    exchange(clock, { sentMs: 0, outMs: 1, backMs: 1, offsetMs: 0 });

    for (let second = 1; second <= 8; second += 1) {
        exchange(clock, { sentMs: second * 1000, outMs: 5, backMs: 5, offsetMs: 50 });
    }

    assert.deepEqual(clock.best, { offset_ms: 50, rtt_ms: 10 });
});

test('an answer to no open question is ignored', () => {
    const clock = new Clock();
    clock.ask(1000);

    clock.take({ type: 'time', client_sent_ms: 999, server_time_ms: 0 }, 1010);
    clock.take({ type: 'time', client_sent_ms: 1000, server_time_ms: 1505 }, 1010);
    clock.take({ type: 'time', client_sent_ms: 1000, server_time_ms: 9999 }, 1000);

    assert.equal(clock.count, 1);
    assert.deepEqual(clock.best, { offset_ms: 500, rtt_ms: 10 });
});

test('reset forgets samples and the open question', () => {
    const clock = new Clock();
    exchange(clock, { sentMs: 0, outMs: 1, backMs: 1, offsetMs: 0 });
    clock.ask(1000);

    clock.reset();
    clock.take({ type: 'time', client_sent_ms: 1000, server_time_ms: 1000 }, 1001);

    assert.equal(clock.best, null);
});

test('the estimate moves to a better sample slowly, and never jumps', () => {
    const clock = new Clock();
    assert.equal(clock.offsetAt(0), null);
    for (let second = 1; second <= 3; second += 1) {
        exchange(clock, { sentMs: second * 1000, outMs: 5, backMs: 25, offsetMs: 100 });
    }
    assert.equal(clock.offsetAt(4000), 90);

    exchange(clock, { sentMs: 4000, outMs: 1, backMs: 1, offsetMs: 100 });

    assert.equal(clock.offsetAt(4010), 90.1);
    assert.equal(Math.round(clock.offsetAt(4510)), 95);
    assert.equal(clock.offsetAt(6000), 100);
});

test('while there are few samples the best one is believed at once', () => {
    const clock = new Clock();
    exchange(clock, { sentMs: 0, outMs: 5, backMs: 65, offsetMs: 100 });
    assert.equal(clock.offsetAt(100), 70);

    exchange(clock, { sentMs: 100, outMs: 1, backMs: 1, offsetMs: 100 });

    assert.equal(clock.offsetAt(110), 100);
});

test('a clock that stood still in a sleep is followed at once', () => {
    const clock = new Clock();
    for (let second = 0; second < 5; second += 1) {
        exchange(clock, { sentMs: second * 1000, outMs: 1, backMs: 1, offsetMs: 100 });
    }
    clock.offsetAt(5000);

    exchange(clock, { sentMs: 6000, outMs: 40, backMs: 40, offsetMs: 3_600_100 });

    assert.deepEqual(clock.best, { offset_ms: 3_600_100, rtt_ms: 80 });
    assert.equal(clock.offsetAt(6080), 3_600_100);
});

test('a slow exchange that a long way explains does not contradict a quick one', () => {
    const clock = new Clock();
    exchange(clock, { sentMs: 0, outMs: 1, backMs: 1, offsetMs: 100 });

    exchange(clock, { sentMs: 1000, outMs: 900, backMs: 10, offsetMs: 100 });

    assert.deepEqual(clock.best, { offset_ms: 100, rtt_ms: 2 });
});

test('a sample from before a long pause is not believed any more', () => {
    const clock = new Clock();
    exchange(clock, { sentMs: 0, outMs: 1, backMs: 1, offsetMs: 100 });

    exchange(clock, { sentMs: 130_000, outMs: 10, backMs: 10, offsetMs: 113 });

    assert.deepEqual(clock.best, { offset_ms: 113, rtt_ms: 20 });
});
