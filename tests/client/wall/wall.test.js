import assert from 'node:assert/strict';
import test from 'node:test';

import { timeOfDay } from '../../../client/wall/timestamp.js';
import { Wall } from '../../../client/wall/wall.js';

const canvas = (slug, fields = {}) => ({ slug, width: 512, height: 512, temporary: false, ...fields });

class FakeTile {
    isPainted = true;
    isEnded = false;
    epoch = 'first';
    reopened = 0;
    closed = 0;
    hung = [];
    visible = [];

    constructor(slug, shape) {
        this.slug = slug;
        this.shape = shape ?? { width: 1, height: 1 };
    }

    reopen() {
        this.reopened += 1;
    }

    expect({ width, height }) {
        this.shape = { width, height };
    }

    hang(place) {
        this.hung.push(place);
    }

    setVisible(isVisible) {
        this.visible.push(isVisible);
    }

    close() {
        this.closed += 1;
    }
}

function setUpWall(selection = null, options = {}) {
    const tiles = new Map();
    const counts = [];
    const wall = new Wall(
        { selection, fit: 'contain', screen: null, ...options },
        (slug, shape) => {
            const tile = new FakeTile(slug, shape);
            tiles.set(slug, tile);
            return tile;
        },
        (count) => counts.push(count),
    );
    wall.resize({ width: 2000, height: 1000 }, 2);
    return { wall, tiles, counts };
}

test('every lasting canvas gets a tile, and a temporary one does not', () => {
    const { wall, tiles } = setUpWall();

    wall.update([canvas('left'), canvas('guest', { temporary: true }), canvas('right')]);

    assert.deepEqual([...tiles.keys()], ['left', 'right']);
    const [left, right] = [{ x: 0, y: 2, width: 995, height: 995 }, { x: 1005, y: 2, width: 995, height: 995 }];
    assert.deepEqual(tiles.get('left').hung.at(-1), { whole: left, shown: left, pixelRatio: 2, isGliding: true });
    assert.deepEqual(tiles.get('right').hung.at(-1), { whole: right, shown: right, pixelRatio: 2, isGliding: true });
});

test('canvases come and go while the others stay', () => {
    const { wall, tiles, counts } = setUpWall();
    wall.update([canvas('left'), canvas('right')]);
    const left = tiles.get('left');

    wall.update([canvas('left'), canvas('dusk')]);

    assert.equal(tiles.get('right').closed, 1);
    assert.equal(tiles.get('left'), left);
    assert.equal(left.closed, 0);
    assert.ok(tiles.has('dusk'));
    wall.update([]);
    assert.deepEqual(counts, [2, 2, 0]);
});

test('a chosen wall shows what was chosen, in that order, whatever the list says', () => {
    const { wall, tiles } = setUpWall(['right', 'guest']);
    assert.deepEqual([...tiles.keys()], ['right', 'guest']);

    wall.update([canvas('left'), canvas('right')]);

    assert.deepEqual([...tiles.keys()], ['right', 'guest']);
    assert.ok(tiles.get('right').hung.at(-1).whole.x < tiles.get('guest').hung.at(-1).whole.x);
});

test('a tile that has ended is opened again once its canvas is listed', () => {
    const { wall, tiles } = setUpWall(['left']);
    tiles.get('left').isEnded = true;

    wall.update([canvas('right')]);
    assert.equal(tiles.get('left').reopened, 0);
    wall.update([canvas('right'), canvas('left', { epoch: 'second' })]);

    assert.equal(tiles.get('left').reopened, 1);
});

test('a list from before the end does not open a tile that has ended', () => {
    const { wall, tiles } = setUpWall(['left']);
    tiles.get('left').isEnded = true;

    wall.update([canvas('left', { epoch: 'first' })]);

    assert.equal(tiles.get('left').reopened, 0);
});

test('a tile that has not ended is left alone', () => {
    const { wall, tiles } = setUpWall(['left']);

    wall.update([canvas('left')]);

    assert.equal(tiles.get('left').reopened, 0);
});

test('visibility reaches every tile', () => {
    const { wall, tiles } = setUpWall(['left', 'right']);

    wall.setVisible(false);

    assert.deepEqual([...tiles.values()].map(({ visible }) => visible), [[false], [false]]);
});

test('the list tells the shapes before the canvases do', () => {
    const { wall, tiles } = setUpWall(['left']);

    wall.update([canvas('left', { width: 1280, height: 640 })]);

    assert.deepEqual(tiles.get('left').hung.at(-1).whole, { x: 0, y: 0, width: 2000, height: 1000 });
});

test('where most are still to come, those that are there are hung at once', () => {
    const { wall, tiles } = setUpWall(['left', 'right', 'dusk']);
    const [left, right] = tiles.values();
    left.isPainted = false;
    right.isPainted = false;

    wall.arrange();
    assert.deepEqual([...tiles.values()].map(({ hung }) => hung.at(-1).isGliding), [false, false, false]);
    right.isPainted = true;
    wall.arrange();

    assert.deepEqual([...tiles.values()].map(({ hung }) => hung.at(-1).isGliding), [true, true, true]);
});

test('a window of another size moves the tiles at once', () => {
    const { wall, tiles } = setUpWall(['left']);

    wall.resize({ width: 800, height: 600 }, 1);

    assert.equal(tiles.get('left').hung.at(-1).isGliding, false);
});

test('pictures that are to cover the wall leave nothing of it free', () => {
    const { tiles } = setUpWall(['left'], { fit: 'cover' });

    assert.deepEqual(tiles.get('left').hung.at(-1).whole, { x: 0, y: 0, width: 2000, height: 1000 });
});

for (const fit of ['contain', 'cover']) {
    test(`screens side by side show every pixel of the wall once, with “${fit}”`, () => {
        const [columns, rows] = [3, 2];
        const size = { width: 801, height: 603 };
        const slugs = ['a', 'b', 'c', 'd', 'e'];
        const seen = new Map(slugs.map((slug) => [slug, []]));
        for (let number = 0; number < columns * rows; number += 1) {
            const screen = { columns, rows, column: number % columns, row: Math.floor(number / columns) };
            const { wall, tiles } = setUpWall(slugs, { fit, screen });
            wall.resize(size, 1);
            for (const [slug, tile] of tiles) {
                const { whole, shown } = tile.hung.at(-1);
                assert.ok(shown.x >= 0 && shown.x + shown.width <= Math.max(shown.x, size.width));
                // In the wall's own pixels.
                const [x, y] = [screen.column * size.width, screen.row * size.height];
                seen.get(slug).push({
                    whole: { ...whole, x: whole.x + x, y: whole.y + y },
                    shown: { ...shown, x: shown.x + x, y: shown.y + y },
                });
            }
        }

        for (const parts of seen.values()) {
            const [{ whole }] = parts;
            assert.ok(parts.every((part) => JSON.stringify(part.whole) === JSON.stringify(whole)));
            const areaPx = parts.reduce((sum, { shown }) => sum + shown.width * shown.height, 0);
            assert.equal(areaPx, whole.width * whole.height, 'none is lost and none is doubled');
        }
    });
}

test('a tile that cannot be made keeps no other from its place, and is tried again with the next list', () => {
    const made = [];
    const failures = [];
    let isBroken = true;
    const wall = new Wall(
        { selection: null, fit: 'contain', screen: null },
        (slug, shape) => {
            if (slug === 'broken' && isBroken) {
                throw new Error('no memory for a canvas');
            }
            made.push(slug);
            return new FakeTile(slug, shape);
        },
        () => {},
        (error) => failures.push(error.message),
    );
    wall.resize({ width: 2000, height: 1000 }, 1);
    wall.update([canvas('first'), canvas('gone')]);
    const [first, gone] = wall.tiles;

    wall.update([canvas('first'), canvas('broken'), canvas('last')]);
    assert.deepEqual(wall.tiles.map(({ slug }) => slug), ['first', 'last']);
    assert.equal(first.hung.at(-1).shown.width, 995, 'there is room for two');
    assert.deepEqual([first.closed, gone.closed], [0, 1]);
    isBroken = false;
    wall.update([canvas('first'), canvas('broken'), canvas('last')]);

    assert.deepEqual(wall.tiles.map(({ slug }) => slug), ['first', 'broken', 'last']);
    assert.deepEqual([made, failures], [['first', 'gone', 'last', 'broken'], ['no memory for a canvas']]);
    assert.equal(gone.closed, 1, 'what is gone is closed once');
});

test('a timestamp is local time of day with milliseconds', () => {
    assert.equal(timeOfDay(new Date(2026, 0, 2, 3, 4, 5, 6).getTime() + 0.75), '03:04:05.006');
    assert.equal(timeOfDay(new Date(2026, 11, 31, 23, 59, 59, 999).getTime()), '23:59:59.999');
});
