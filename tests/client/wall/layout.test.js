import assert from 'node:assert/strict';
import test from 'node:test';

import { fill, hang, intersection } from '../../../client/wall/layout.js';

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

test('a grid whose rows are all full is calmer, where it shows nearly as much', () => {
    assert.deepEqual(rowsOf(hang(squares(9), HD, 10)), [3, 3, 3]);
    assert.deepEqual(rowsOf(hang(squares(10), HD, 10)), [5, 5]);
});

test('what is left for the last row hangs below others, not between them, where that is possible', () => {
    assert.deepEqual(rowsOf(hang(squares(16), HD, 10)), [6, 6, 4]);
    assert.deepEqual(rowsOf(hang(squares(13), HD, 10)), [5, 5, 3]);
    assert.deepEqual(rowsOf(hang(squares(16), PHONE, 10)), [3, 3, 3, 3, 3, 1]);
    const { x } = hang(squares(16), PHONE, 10)[15];
    assert.equal(x, hang(squares(16), PHONE, 10)[13].x);
});

test('as even as can be where they would hang between others anyway', () => {
    assert.deepEqual(rowsOf(hang(squares(7), HD, 10)), [4, 3]);
    assert.deepEqual(rowsOf(hang(squares(11), HD, 10)), [4, 4, 3]);
});

test('equal pictures show nearly as much as in any other grid', () => {
    for (let count = 1; count <= 16; count += 1) {
        for (const wall of [HD, PHONE, { width: 800, height: 600 }, { width: 3440, height: 900 }]) {
            const [{ width: side }] = hang(squares(count), wall, 0);
            for (let columns = 1; columns <= count; columns += 1) {
                const rowCount = Math.ceil(count / columns);
                const other = Math.min(Math.floor(wall.width / columns), Math.floor(wall.height / rowCount));
                assert.ok(side ** 2 >= 0.85 * other ** 2, `${count}: ${columns} columns show more`);
            }
        }
    }
});

test('pictures of several shapes hang in rows of one height', () => {
    for (const wall of [HD, PHONE, { width: 800, height: 600 }]) {
        const pictures = [SQUARE, WIDE, TALL, WIDE, SQUARE, SQUARE, TALL];
        const places = hang(pictures, wall, 10);

        assert.equal(new Set(places.map(({ height }) => height)).size, 1);
        places.forEach(({ width, height }, index) => {
            const { width: wide, height: high } = pictures[index];
            assert.ok(Math.abs(width - (height * wide) / high) <= 0.5, 'whole, and not stretched');
        });
    }
});

test('rows of several shapes differ little in their lengths', () => {
    const places = hang([WIDE, WIDE, WIDE, SQUARE, TALL], HD, 10);

    const right = (row) => Math.max(...row.map(({ x, width }) => x + width));
    const lengths = [...new Set(places.map(({ y }) => y))].map((y) => {
        const row = places.filter((place) => place.y === y);
        return right(row) - row[0].x;
    });
    assert.ok(Math.max(...lengths) / Math.min(...lengths) < 2, lengths.join());
});

test('a panorama does not make all the others small', () => {
    const places = hang([{ width: 4000, height: 100 }, SQUARE, SQUARE, SQUARE], HD, 10);

    assert.ok(places[1].height > 300, `${places[1].height} pixels`);
});

test('pictures that cover the wall leave only the gaps between them free', () => {
    for (const wall of [HD, PHONE, { width: 801, height: 603 }]) {
        for (let count = 1; count <= 17; count += 1) {
            const cells = fill(squares(count), wall, 7);
            assert.ok(cells.every((cell) => Object.values(cell).every(Number.isInteger)));
            const rows = [...new Set(cells.map(({ y }) => y))].map((y) => cells.filter((cell) => cell.y === y));
            for (const row of rows) {
                assert.equal(row[0].x, 0);
                assert.equal(row.at(-1).x + row.at(-1).width, wall.width);
                row.slice(1).forEach(({ x }, index) => assert.equal(x - row[index].x - row[index].width, 7));
            }
            assert.equal(rows[0][0].y, 0);
            assert.equal(rows.at(-1)[0].y + rows.at(-1)[0].height, wall.height);
        }
    }
});

test('pictures that cover the wall are cropped as little as can be', () => {
    const [wide] = fill([WIDE, WIDE], { width: 1000, height: 1000 }, 0);
    const [tall] = fill([TALL, TALL], { width: 1000, height: 1000 }, 0);

    assert.deepEqual([wide.width, wide.height], [1000, 500]);
    assert.deepEqual([tall.width, tall.height], [500, 1000]);
});

test('rectangles that lie apart share nothing', () => {
    const one = { x: 0, y: 0, width: 10, height: 10 };

    assert.deepEqual(intersection(one, { x: 4, y: -5, width: 10, height: 10 }), { x: 4, y: 0, width: 6, height: 5 });
    assert.equal(intersection(one, { x: 12, y: 0, width: 10, height: 10 }).width, 0);
});

test('one to forty pictures lie on whole pixels, inside the wall, and apart', () => {
    for (const wall of [HD, PHONE, { width: 801, height: 603 }]) {
        for (let count = 1; count <= 40; count += 1) {
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

test('a wall without room still gives sizes that can be drawn on', () => {
    for (const { width, height } of hang(squares(9), { width: 1, height: 1 }, 0)) {
        assert.ok(width >= 1 && height >= 1);
    }
});

test('a wall without an area has no place for anything', () => {
    const nowhere = { x: 0, y: 0, width: 0, height: 0 };

    for (const lay of [hang, fill]) {
        assert.deepEqual(lay(squares(2), { width: 0, height: 1080 }, 10), [nowhere, nowhere]);
        assert.deepEqual(lay(squares(1), { width: 1920, height: 0 }, 10), [nowhere]);
        assert.deepEqual(lay([], HD, 10), []);
    }
});
