import assert from 'node:assert/strict';
import test from 'node:test';

import { Shape, snapped } from '../../../client/stage/layout.js';
import { FakeEnvironment } from '../fakes.js';

test('a place on whole pixels is kept', () => {
    const place = { left: 48, top: 48, right: 1032, bottom: 1032 };

    assert.deepEqual(snapped(place, 1), { left: 48, top: 48, width: 984, height: 984 });
    assert.deepEqual(snapped(place, 2), { left: 96, top: 96, width: 1968, height: 1968 });
});

test('another place is cut to the whole pixels within it', () => {
    const place = { left: 20.3, top: 19.999, right: 500.7, bottom: 400.001 };

    assert.deepEqual(snapped(place, 1), { left: 21, top: 20, width: 479, height: 380 });
    assert.deepEqual(snapped(place, 1.5), { left: 31, top: 30, width: 720, height: 570 });
});

test('a place without an area is one pixel', () => {
    assert.deepEqual(snapped({ left: 5, top: 5, right: 5, bottom: 5 }, 1), { left: 5, top: 5, width: 1, height: 1 });
});

function setUp() {
    const environment = new FakeEnvironment();
    const told = [];
    return { environment, told, shape: new Shape(environment, (aspect) => told.push(aspect)) };
}

test('the canvas tells its shape until a picture does', () => {
    const { told, shape } = setUp();

    shape.expect({ width: 512, height: 512 });
    shape.see({ width: 1920, height: 1080 });
    shape.expect({ width: 512, height: 512 });

    assert.deepEqual(told, [1, 16 / 9]);
});

test('another shape has to stay', () => {
    const { environment, told, shape } = setUp();
    shape.see({ width: 100, height: 100 });

    shape.see({ width: 200, height: 100 });
    environment.advance(2999);
    assert.deepEqual(told, [1]);
    environment.advance(1);

    assert.deepEqual(told, [1, 2]);
});

test('shapes that take turns move nothing', () => {
    const { environment, told, shape } = setUp();
    shape.see({ width: 100, height: 100 });

    for (let index = 0; index < 20; index += 1) {
        shape.see(index % 2 ? { width: 100, height: 100 } : { width: 200, height: 100 });
        environment.advance(2000);
    }

    assert.deepEqual(told, [1]);
});

test('renditions of one picture are one shape', () => {
    const { environment, told, shape } = setUp();
    shape.see({ width: 1023, height: 1023 });

    shape.see({ width: 512, height: 511 });
    environment.advance(5000);

    assert.deepEqual(told, [1]);
    assert.equal(environment.timers.size, 0);
});
