import assert from 'node:assert/strict';
import test from 'node:test';

import { Surface } from '../../../client/paint/surface.js';
import { FakeCanvas, PLAIN, hungWhole, painted, plain } from './fakes.js';

const RED = [255, 0, 0];
const BLUE = [0, 0, 255];
const GROUND = [5, 5, 7, 1];

function setUp(options = {}, hanging = hungWhole(16, 8)) {
    const canvas = new FakeCanvas(1, 1);
    const surface = new Surface(canvas, { ...PLAIN, ...options });
    surface.hang(hanging);
    return { canvas, context: surface.context, surface };
}

test('a picture is drawn at the size of the screen’s own pixels, letterboxed', () => {
    const { canvas, context, surface } = setUp();

    surface.draw(plain(RED));

    assert.deepEqual([canvas.width, canvas.height], [16, 8]);
    assert.deepEqual(surface.boxOf({ width: 512, height: 512 }), { x: 4, y: 0, width: 8, height: 8 });
    assert.deepEqual([3, 4, 11, 12].map((x) => context.at(x, 4)), [GROUND, [...RED, 1], [...RED, 1], GROUND]);
});

test('a covering picture fills the canvas and reaches beyond it', () => {
    const { context, surface } = setUp({ fit: 'cover' });

    surface.draw(plain(RED));

    assert.deepEqual(surface.boxOf({ width: 512, height: 512 }), { x: 0, y: -4, width: 16, height: 16 });
    assert.deepEqual(context.at(15, 7), [...RED, 1]);
});

test('nothing of the picture before stays beside another one', () => {
    const { context, surface } = setUp();
    surface.draw(plain(RED, { width: 100, height: 50 }), true);

    surface.draw(plain(BLUE), true);

    assert.deepEqual([context.at(0, 0), context.at(8, 4)], [GROUND, [...BLUE, 1]]);
});

for (const [background, seen] of [['#050507', GROUND], [null, [0, 0, 0, 0]]]) {
    test(`a transparent picture shows the background ${background} and not the picture before`, () => {
        const { context, surface } = setUp({ background }, hungWhole(2, 1));
        surface.draw(plain(RED, { width: 2, height: 1 }));

        surface.draw(painted([[[0, 0, 0, 0], [0, 0, 255, 1]]]));

        assert.deepEqual([context.at(0, 0), context.at(1, 0)], [seen, [...BLUE, 1]]);
    });
}

test('without a background what is behind the canvas shines through beside the picture', () => {
    const { context, surface } = setUp({ background: null });

    surface.draw(plain(RED));

    assert.equal(context.hasAlpha, true);
    assert.deepEqual([context.at(0, 0), context.at(8, 4)], [[0, 0, 0, 0], [...RED, 1]]);
});

test('a canvas with a background is opaque', () => {
    assert.equal(setUp().context.hasAlpha, false);
});

test('screens that show one picture together show each their part of it', () => {
    const halves = [0, 16].map((x) => ({ place: { width: 32, height: 8 }, view: { x, y: 0, width: 16, height: 8 } }));
    const rows = [[[...RED, 1], [...RED, 1], [...BLUE, 1], [...BLUE, 1]]];
    const seen = halves.map((hanging) => {
        const { canvas, context, surface } = setUp({ fit: 'cover' }, hanging);
        surface.draw(painted(rows));
        assert.deepEqual([canvas.width, canvas.height], [16, 8]);
        return [context.at(0, 4), context.at(15, 4)];
    });

    assert.deepEqual(seen, [[[...RED, 1], [...RED, 1]], [[...BLUE, 1], [...BLUE, 1]]]);
});

test('the canvas is resized only together with what is drawn on it', () => {
    const { canvas, surface } = setUp();
    surface.draw(plain(RED));

    surface.hang(hungWhole(32, 32));
    assert.deepEqual([canvas.width, surface.hasPixels], [16, false]);
    surface.draw(plain(RED));

    assert.deepEqual([canvas.width, surface.hasPixels], [32, true]);
});

test('hard edges are even pixels where they fit, and only where a picture is enlarged', () => {
    const drawn = (width, options = { isSmooth: false }) => {
        const { context, surface } = setUp(options, hungWhole(100, 100));
        surface.draw(plain(RED, { width, height: width }));
        const { width: wide, isSmooth } = context.drawn.at(-1);
        return [wide, isSmooth];
    };

    assert.deepEqual(drawn(32), [96, false]);
    assert.deepEqual(drawn(60), [100, false]);
    assert.deepEqual(drawn(200), [100, true]);
    assert.deepEqual(drawn(32, { isSmooth: true }), [100, true]);
});
