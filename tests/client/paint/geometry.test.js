import assert from 'node:assert/strict';
import test from 'node:test';

import { contain, cover, even, isSameShape } from '../../../client/paint/geometry.js';

const HD = { width: 1920, height: 1080 };
const SQUARE = { width: 512, height: 512 };

test('a contained picture touches two edges and keeps its aspect', () => {
    assert.deepEqual(contain(SQUARE, HD), { width: 1080, height: 1080 });
    assert.deepEqual(contain({ width: 100, height: 10 }, SQUARE), { width: 512, height: 51 });
});

test('a covering picture leaves nothing of its place free', () => {
    assert.deepEqual(cover(SQUARE, HD), { width: 1920, height: 1920 });
    assert.deepEqual(cover({ width: 100, height: 10 }, SQUARE), { width: 5120, height: 512 });
});

for (const [name, fit] of Object.entries({ contain, cover })) {
    test(`a rendition whose sides were rounded fills its place (${name})`, () => {
        assert.deepEqual(fit({ width: 683, height: 385 }, HD), HD);
        assert.notDeepEqual(fit({ width: 683, height: 400 }, HD), HD);
    });

    test(`a picture of any shape has a pixel at least, and ${name} means what it says`, () => {
        for (const picture of [{ width: 1, height: 5000 }, { width: 5000, height: 1 }, { width: 17, height: 13 }]) {
            const { width, height } = fit(picture, { width: 999, height: 777 });
            assert.ok(width >= 1 && height >= 1);
            if (name === 'contain') {
                assert.ok(width <= 999 && height <= 777 && (width === 999 || height === 777));
            } else {
                assert.ok(width >= 999 && height >= 777 && (width === 999 || height === 777));
            }
        }
    });
}

test('pixels are even where that leaves most of the place filled', () => {
    const place = (scale) => ({ width: 100 * scale, height: 100 * scale });
    const picture = { width: 100, height: 100 };
    const scales = [[1, 1], [1.3, 1], [1.5, null], [1.9, null], [2, 2], [2.7, 2], [2.9, null], [3.9, 3], [12.3, 12]];
    for (const [scale, whole] of scales) {
        const size = even(picture, place(scale), 'contain');
        assert.deepEqual(size, whole === null ? null : { width: 100 * whole, height: 100 * whole }, String(scale));
    }
});

test('even pixels cover the place where it is to be covered', () => {
    const picture = { width: 100, height: 100 };
    assert.deepEqual(even(picture, { width: 280, height: 200 }, 'cover'), { width: 300, height: 300 });
    assert.equal(even(picture, { width: 120, height: 100 }, 'cover'), null);
});

test('a picture that is larger than its place has no even pixels', () => {
    assert.equal(even(SQUARE, { width: 511, height: 600 }, 'contain'), null);
});

test('renditions of one picture have one shape, whatever was rounded', () => {
    const cases = [
        [HD, { width: 683, height: 385 }, true],
        [HD, { width: 480, height: 270 }, true],
        [{ width: 512, height: 288 }, { width: 102, height: 58 }, true],
        [HD, { width: 1440, height: 1080 }, false],
        [{ width: 3, height: 2 }, { width: 2, height: 3 }, false],
    ];
    for (const [one, other, expected] of cases) {
        assert.equal(isSameShape(one, other), expected, JSON.stringify([one, other]));
        assert.equal(isSameShape(other, one), expected, JSON.stringify([other, one]));
    }
});
