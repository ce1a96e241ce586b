import assert from 'node:assert/strict';
import test from 'node:test';

import { contain, hang, isSameShape } from '../../../client/wall/layout.js';

const HD = { width: 1920, height: 1080 };
const PHONE = { width: 1170, height: 2532 };
const SQUARE = { width: 512, height: 512 };
const WIDE = { width: 1280, height: 720 };
const TALL = { width: 720, height: 1280 };

const squares = (count) => Array.from({ length: count }, () => SQUARE);

/** How many tiles each row has. */
function rowsOf(places) {
    const rows = new Map();
    for (const { y } of places) {
        rows.set(y, (rows.get(y) ?? 0) + 1);
    }
    return [...rows.values()];
}

test('a single picture of the wall’s own aspect fills it', () => {
    assert.deepEqual(hang([WIDE], HD, 10), [{ x: 0, y: 0, width: 1920, height: 1080 }]);
});

test('a single picture of another aspect is centred and touches two edges', () => {
    assert.deepEqual(hang([SQUARE], HD, 10), [{ x: 420, y: 0, width: 1080, height: 1080 }]);
    assert.deepEqual(hang([SQUARE], PHONE, 10), [{ x: 0, y: 681, width: 1170, height: 1170 }]);
});

test('two squares stand beside each other on a landscape wall, and above each other on a portrait one', () => {
    assert.deepEqual(hang(squares(2), HD, 10), [
        { x: 0, y: 62, width: 955, height: 955 },
        { x: 965, y: 62, width: 955, height: 955 },
    ]);
    assert.deepEqual(rowsOf(hang(squares(2), PHONE, 10)), [1, 1]);
});

test('two wide pictures stand above each other where that shows more of them', () => {
    const wall = { width: 1000, height: 1000 };

    assert.deepEqual(rowsOf(hang([WIDE, WIDE], wall, 0)), [1, 1]);
    assert.deepEqual(rowsOf(hang([TALL, TALL], wall, 0)), [2]);
});

test('a last row that is not full is centred', () => {
    const places = hang(squares(5), HD, 10);

    assert.deepEqual(rowsOf(places), [3, 2]);
    const [left, right] = places.slice(3);
    assert.ok(Math.abs(left.x - (1920 - (right.x + right.width))) <= 1);
});

test('pictures of one aspect have one size', () => {
    const sizes = new Set(hang(squares(7), HD, 10).map(({ width, height }) => `${width}x${height}`));

    assert.equal(sizes.size, 1);
});

test('no pictures need no places', () => {
    assert.deepEqual(hang([], HD, 10), []);
});

test('no other grid shows a greater area', () => {
    for (const pictures of [squares(3), squares(6), [WIDE, SQUARE, TALL], [WIDE, WIDE, WIDE, TALL]]) {
        for (const wall of [HD, PHONE, { width: 800, height: 600 }]) {
            const area = hang(pictures, wall, 0).reduce((sum, place) => sum + place.width * place.height, 0);
            for (let columns = 1; columns <= pictures.length; columns += 1) {
                const rowCount = Math.ceil(pictures.length / columns);
                const cell = {
                    width: Math.floor(wall.width / columns),
                    height: Math.floor(wall.height / rowCount),
                };
                const other = pictures
                    .map((picture) => contain(picture, cell))
                    .reduce((sum, { width, height }) => sum + width * height, 0);
                assert.ok(area >= other, `${columns} columns show ${other}, more than ${area}`);
            }
        }
    }
});

test('one to sixteen pictures lie on whole pixels, inside the wall, and apart', () => {
    for (const wall of [HD, PHONE, { width: 801, height: 603 }]) {
        for (let count = 1; count <= 16; count += 1) {
            const pictures = Array.from({ length: count }, (_, index) => [SQUARE, WIDE, TALL][index % 3]);
            const places = hang(pictures, wall, 7);
            assert.equal(places.length, count);
            places.forEach((place, index) => {
                assert.ok(Object.values(place).every(Number.isInteger));
                assert.ok(place.x >= 0 && place.x + place.width <= wall.width);
                assert.ok(place.y >= 0 && place.y + place.height <= wall.height);
                for (const other of places.slice(index + 1)) {
                    const isApart =
                        place.x + place.width + 7 <= other.x ||
                        other.x + other.width + 7 <= place.x ||
                        place.y + place.height + 7 <= other.y ||
                        other.y + other.height + 7 <= place.y;
                    assert.ok(isApart, `${count} on ${wall.width}x${wall.height}`);
                }
            });
        }
    }
});

test('every picture keeps its aspect ratio', () => {
    for (const picture of [SQUARE, WIDE, TALL, { width: 21, height: 9 }]) {
        const { width, height } = contain(picture, { width: 999, height: 777 });
        // Half a pixel of rounding on the shorter side.
        const error = Math.abs(width / height / (picture.width / picture.height) - 1);
        assert.ok(error < 0.5 / Math.min(width, height) + 1e-9);
        assert.ok(width === 999 || height === 777);
    }
});

test('a rendition whose sides were rounded fills its place', () => {
    assert.deepEqual(contain({ width: 683, height: 385 }, HD), HD);
});

test('a wall without room still gives sizes that can be drawn on', () => {
    for (const { width, height } of hang(squares(9), { width: 1, height: 1 }, 0)) {
        assert.ok(width >= 1 && height >= 1);
    }
});

test('a wall without an area has no place for anything', () => {
    const nowhere = { x: 0, y: 0, width: 0, height: 0 };

    assert.deepEqual(hang(squares(2), { width: 0, height: 1080 }, 10), [nowhere, nowhere]);
    assert.deepEqual(hang(squares(1), { width: 1920, height: 0 }, 10), [nowhere]);
});

for (const [one, other, expected] of [
    [[3840, 2160], [960, 540], true],
    [[511, 341], [128, 85], true],
    [[341, 511], [85, 128], true],
    [[512, 512], [512, 513], true],
    [[640, 480], [480, 640], false],
    [[1920, 1080], [1920, 1200], false],
    [[512, 512], [500, 512], false],
    [[1, 1], [640, 480], false],
    [[4, 3], [640, 500], false],
]) {
    test(`${one.join('×')} and ${other.join('×')} are ${expected ? 'one shape' : 'two shapes'}`, () => {
        const sizes = [one, other].map(([width, height]) => ({ width, height }));

        assert.equal(isSameShape(sizes[0], sizes[1]), expected);
        assert.equal(isSameShape(sizes[1], sizes[0]), expected);
    });
}
