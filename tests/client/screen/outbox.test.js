import assert from 'node:assert/strict';
import test from 'node:test';

import { Outbox } from '../../../client/screen/outbox.js';
import { FakeEnvironment } from '../fakes.js';

function setUp() {
    const environment = new FakeEnvironment();
    const posted = [];
    const outbox = new Outbox(environment, (news, bitmaps) => {
        posted.push({ names: news.map(({ name }) => name), bitmaps });
    });
    return { environment, posted, tell: (name, id = 1) => outbox.tell({ id, name, values: [] }), outbox };
}

test('a frame is one message: decoded, drawn, freed and presented', () => {
    const { environment, posted, tell, outbox } = setUp();

    outbox.count({ created: 1, closed: 0 });
    environment.advance(20);
    tell('onDrawn');
    outbox.count({ created: 1, closed: 1 });
    environment.advance(1);
    tell('onPresented');
    environment.advance(0);

    assert.deepEqual(posted, [{ names: ['onDrawn', 'onPresented'], bitmaps: { created: 1, closed: 1 } }]);
});

test('frames of sixteen screens that are presented together are one message', () => {
    const { environment, posted, tell } = setUp();

    for (let id = 1; id <= 16; id += 1) {
        tell('onDrawn', id);
        environment.setTimer(() => tell('onPresented', id), 0);
    }
    environment.advance(0);

    assert.equal(posted.length, 1);
    assert.equal(posted[0].names.length, 32);
});

test('what is told keeps its order, whatever is in a hurry', () => {
    const { environment, posted, tell } = setUp();

    ['onDrawn', 'onClock', 'onDown', 'onHello'].forEach((name) => tell(name));
    environment.advance(0);
    tell('onClock');
    environment.advance(0);

    assert.deepEqual(posted.map(({ names }) => names), [['onDrawn', 'onClock', 'onDown', 'onHello']]);
});

test('what is quiet and alone does not wait for ever', () => {
    const { environment, posted, tell, outbox } = setUp();

    tell('onClock');
    outbox.count({ created: 2, closed: 2 });
    environment.advance(99);
    assert.deepEqual(posted, []);
    environment.advance(1);

    assert.deepEqual(posted, [{ names: ['onClock'], bitmaps: { created: 2, closed: 2 } }]);
});

test('counts that have not changed are not told again', () => {
    const { environment, posted, tell, outbox } = setUp();
    const counts = { created: 1, closed: 0 };
    outbox.count(counts);
    counts.closed = 1;
    environment.advance(100);

    tell('onPresented');
    environment.advance(0);

    assert.deepEqual(posted.map(({ bitmaps }) => bitmaps), [{ created: 1, closed: 0 }, null]);
});
