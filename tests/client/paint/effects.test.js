import assert from 'node:assert/strict';
import test from 'node:test';

import { EFFECTS } from '../../../client/paint/effects.js';
import { FakeCanvas, hungWhole } from './fakes.js';

const OLD = [200, 0, 0, 1];
const NEW = [0, 0, 100, 1];
const NOTHING = [0, 0, 0, 0];
const WIDTH = 64;
const HEIGHT = 4;

/** A canvas that shows the old picture; both are layers, of one colour each. */
function setUp({ isTransparent = false, from = OLD, to = NEW, hanging = hungWhole(WIDTH, HEIGHT) } = {}) {
    const layer = (colour, alpha = true) => {
        const context = new FakeCanvas(WIDTH, HEIGHT).getContext('2d', { alpha });
        context.canvas.pixels.forEach((_, index, pixels) => {
            pixels[index] = [...colour];
        });
        return context;
    };
    const context = layer(from, isTransparent);
    const makeLayer = (width, height) => new FakeCanvas(width, height).getContext('2d');
    const scene = { context, from: layer(from), to: layer(to), hanging, isTransparent, makeLayer };
    return { scene, context };
}

const isNear = (one, other) => one.every((value, index) => Math.abs(value - other[index]) < 0.5);
const shareOfNew = (context) =>
    context.canvas.pixels.filter((pixel) => isNear(pixel, NEW)).length / context.canvas.pixels.length;

for (const isTransparent of [false, true]) {
    const ground = isTransparent ? 'transparent' : 'opaque';

    test(`a cross-fade mixes both pictures everywhere (${ground})`, () => {
        const { scene, context } = setUp({ isTransparent });
        const draw = EFFECTS.get('cross-fade')(scene);

        draw(0.1);
        draw(0.25);

        assert.ok(context.canvas.pixels.every((pixel) => isNear(pixel, [150, 0, 25, 1])), String(context.at(0, 0)));
    });

    test(`a dissolve turns pixel after pixel, each one wholly (${ground})`, () => {
        const { scene, context } = setUp({ isTransparent });
        const draw = EFFECTS.get('dissolve')(scene);
        let before = [];
        for (const amount of [0.2, 0.5, 0.8]) {
            draw(amount);
            const { pixels } = context.canvas;
            assert.ok(pixels.every((pixel) => isNear(pixel, OLD) || isNear(pixel, NEW)));
            assert.ok(Math.abs(shareOfNew(context) - amount) < 0.12, `${shareOfNew(context)} of ${amount}`);
            assert.ok(before.every((wasNew, index) => !wasNew || isNear(pixels[index], NEW)), 'none turns back');
            before = pixels.map((pixel) => isNear(pixel, NEW));
        }
        const rows = [0, 1, 2, 3].map((y) => before.slice(y * WIDTH, (y + 1) * WIDTH).join());
        assert.equal(new Set(rows).size, HEIGHT, 'in no order');
    });

    test(`a wipe goes from left to right with a soft edge (${ground})`, () => {
        const { scene, context } = setUp({ isTransparent });
        const draw = EFFECTS.get('wipe')(scene);

        [0.1, 0.3, 0.5].forEach(draw);

        const blue = Array.from({ length: WIDTH }, (_, x) => context.at(x, 1)[2]);
        assert.ok(blue.every((value, x) => x === 0 || value <= blue[x - 1] + 1e-9), blue.join());
        assert.deepEqual([blue[0], blue.at(-1)], [100, 0]);
        assert.ok(blue.filter((value) => value > 1 && value < 99).length >= 3, 'a soft edge');
        const middle = blue.findIndex((value) => value < 50);
        assert.ok(Math.abs(middle - WIDTH / 2) <= 3, `the edge is at ${middle}`);
    });
}

for (const [kind, effect] of EFFECTS) {
    test(`${kind}: where the old picture has nothing, the new one appears over nothing`, () => {
        const { scene, context } = setUp({ isTransparent: true, from: NOTHING });
        const draw = effect(scene);

        draw(0.5);

        const { pixels } = context.canvas;
        assert.ok(pixels.every(([red, , blue, alpha]) => red === 0 && Math.abs(blue - 100 * alpha) < 0.5));
        const shown = pixels.reduce((sum, [, , , alpha]) => sum + alpha, 0) / pixels.length;
        assert.ok(Math.abs(shown - 0.5) < 0.12, String(shown));
    });

    test(`${kind}: where the new picture has nothing, the old one goes`, () => {
        const { scene, context } = setUp({ isTransparent: true, to: NOTHING });

        effect(scene)(0.75);

        const { pixels } = context.canvas;
        const shown = pixels.reduce((sum, [, , , alpha]) => sum + alpha, 0) / pixels.length;
        assert.ok(Math.abs(shown - 0.25) < 0.12, String(shown));
    });

    test(`${kind}: screens that show one picture together change together`, () => {
        const whole = setUp();
        const place = { width: WIDTH, height: HEIGHT };
        const right = setUp({ hanging: { place, view: { x: 24, y: 1, width: WIDTH - 24, height: 3 } } });

        effect(whole.scene)(0.5);
        effect(right.scene)(0.5);

        for (let x = 24; x < WIDTH; x += 1) {
            assert.ok(isNear(right.context.at(x - 24, 1), whole.context.at(x, 2)), `column ${x}`);
        }
    });
}

test('without memory for its tile a dissolve is a cross-fade', () => {
    const { scene, context } = setUp();

    EFFECTS.get('dissolve')({ ...scene, makeLayer: () => null })(0.5);

    assert.ok(isNear(context.at(0, 0), [100, 0, 50, 1]));
});
