import assert from 'node:assert/strict';
import test from 'node:test';

import { cropBehind, dragged } from '../../../client/studio/canvases/crop.js';
import { figuresOf, progressOf } from '../../../client/studio/canvases/figures.js';
import {
    ALL_SETTINGS,
    UNPROCESSED,
    labelOf,
    parse,
    patchOf,
    tidy,
    valueOf,
} from '../../../client/studio/canvases/settings.js';
import { TEXTS } from '../../../client/studio/canvases/texts.js';

const setting = (name) => ALL_SETTINGS.find((each) => each.name === name);
const CANVAS = { slug: 'left', width: 512, height: 256, fps: 4, processing: { crop: null, tint: null, blur: 3 } };

test('a setting shows what the canvas has, and what is usual where it has nothing', () => {
    assert.equal(valueOf(CANVAS, setting('height')), 256);
    assert.equal(valueOf(CANVAS, setting('processing.blur')), 3);
    assert.equal(valueOf(CANVAS, setting('processing.contrast')), 1);
    assert.equal(valueOf(CANVAS, setting('processing.tint.amount')), 0);
    assert.equal(valueOf(CANVAS, setting('processing.crop.width')), 100);
    assert.equal(valueOf(CANVAS, setting('present_delay_ms')), null);
});

test('a change sends its own field only', () => {
    assert.deepEqual(patchOf(CANVAS, setting('fps'), 8), { fps: 8 });
    assert.deepEqual(patchOf(CANVAS, setting('transition.kind'), 'wipe'), { transition: { kind: 'wipe' } });
    assert.deepEqual(patchOf(CANVAS, setting('processing.hue'), -90), { processing: { hue: -90 } });
});

test('a crop is sent whole, stays within the picture, and is none where it is all of it', () => {
    const crop = (value, side, before) =>
        patchOf({ ...CANVAS, processing: { crop: before } }, setting(`processing.crop.${side}`), value).processing.crop;

    assert.deepEqual(crop(25, 'x', null), { x: 0.25, y: 0, width: 0.75, height: 1 });
    const cut = { x: 0.25, y: 0, width: 0.5, height: 1 };
    assert.deepEqual(crop(90, 'width', cut), { x: 0.1, y: 0, width: 0.9, height: 1 });
    assert.deepEqual(crop(100, 'height', { x: 0, y: 0.5, width: 1, height: 0.5 }), null);
});

test('a tint without an amount is none', () => {
    const tinted = { ...CANVAS, processing: { tint: { color: '#ff0000', amount: 0.5 } } };

    assert.deepEqual(patchOf(tinted, setting('processing.tint.amount'), 0), { processing: { tint: null } });
    assert.deepEqual(patchOf(tinted, setting('processing.tint.color'), '#00ff00'), {
        processing: { tint: { color: '#00ff00', amount: 0.5 } },
    });
});

test('what takes processing away names every part of it', () => {
    const names = ALL_SETTINGS.map(({ name }) => name).filter((name) => name.startsWith('processing.'));
    const parts = names.map((name) => name.split('.')[1]);

    assert.deepEqual(new Set(Object.keys(UNPROCESSED)), new Set(parts));
});

for (const [name, text, expected] of [
    ['width', '640', { value: 640 }],
    ['width', '641', { complaint: 'eights' }],
    ['width', '63', { complaint: 'least' }],
    ['width', '', { complaint: 'empty' }],
    ['fps', '12,5', { value: 12.5 }],
    ['fps', '61', { complaint: 'greatest' }],
    ['fps', 'fast', { complaint: 'number' }],
    ['present_delay_ms', '', { value: null }],
    ['present_delay_ms', '1.5', { complaint: 'whole' }],
    ['processing.rotate', '90', { value: 90 }],
    ['processing.tint.color', '#102030', { value: '#102030' }],
]) {
    test(`${name} reads “${text}” as ${JSON.stringify(expected)}`, () => {
        assert.deepEqual(parse(setting(name), text), expected);
    });
}

test('a drag is a part of the picture, however it is drawn and wherever it ends', () => {
    const box = { x: 100, y: 0, width: 200, height: 100 };

    assert.deepEqual(dragged({ x: 250, y: 75 }, { x: 150, y: 25 }, box), { x: 0.25, y: 0.25, width: 0.5, height: 0.5 });
    assert.deepEqual(dragged({ x: 0, y: -50 }, { x: 200, y: 500 }, box), { x: 0, y: 0, width: 0.5, height: 1 });
    assert.equal(dragged({ x: 150, y: 25 }, { x: 151, y: 60 }, box), null);
});

// What the server does with a point of the picture as it comes: cut, turned clockwise, mirrored.
function shown({ x, y }, { crop, rotate = 0, mirror = 'none' }) {
    let point = { x: (x - (crop?.x ?? 0)) / (crop?.width ?? 1), y: (y - (crop?.y ?? 0)) / (crop?.height ?? 1) };
    for (let turned = 0; turned < rotate; turned += 90) {
        point = { x: 1 - point.y, y: point.x };
    }
    return {
        x: mirror === 'horizontal' || mirror === 'both' ? 1 - point.x : point.x,
        y: mirror === 'vertical' || mirror === 'both' ? 1 - point.y : point.y,
    };
}

for (const rotate of [0, 90, 180, 270]) {
    for (const mirror of ['none', 'horizontal', 'vertical', 'both']) {
        test(`what is dragged over is what is left, turned by ${rotate} and mirrored ${mirror}`, () => {
            const processing = { crop: { x: 0.2, y: 0.1, width: 0.5, height: 0.8 }, rotate, mirror };
            const part = { x: 0.1, y: 0.3, width: 0.4, height: 0.6 };

            const { x, y, width, height } = cropBehind(part, processing);

            const corners = [{ x, y }, { x: x + width, y: y + height }].map((corner) => shown(corner, processing));
            const [left, right] = corners.map((corner) => corner.x).sort();
            const [top, bottom] = corners.map((corner) => corner.y).sort();
            for (const [is, should] of [[left, 0.1], [right, 0.5], [top, 0.3], [bottom, 0.9]]) {
                assert.ok(Math.abs(is - should) < 0.001, `${is} is not ${should}`);
            }
        });
    }
}

test('a rounded crop never reaches over the edge', () => {
    const { x, width } = tidy({ x: 1 / 3, y: 0, width: 2 / 3 + 1e-9, height: 0.5 });

    assert.ok(x + width <= 1.000001);
});

test('a card tells its own jobs only, in their order', () => {
    const job = (id, state, position, canvas = 'left') => ({ id, state, position, canvas, step: 3, total_steps: 12 });
    const traffic = { fps_in: 4, fps_out: 3.5, subscribers: 7, screens: { age: { p50: 42 } } };

    const figures = figuresOf({ ...CANVAS, state: 'painting' }, traffic, [
        job('c', 'queued', 2), job('a', 'running', null), job('b', 'queued', 1), job('x', 'queued', 1, 'right'),
        job('d', 'succeeded', null),
    ]);

    assert.deepEqual(figures.queue.map(({ id }) => id), ['b', 'c']);
    assert.equal(figures.running.id, 'a');
    assert.equal(progressOf(figures.running), 0.25);
    const { fpsIn, fpsOut, ageMs, screens, state } = figures;
    assert.deepEqual([fpsIn, fpsOut, ageMs, screens, state], [4, 3.5, 42, 7, 'painting']);
});

test('a card of which nothing is known yet says so', () => {
    const figures = figuresOf({ slug: 'left', subscribers: 2 }, undefined, []);

    assert.deepEqual({ ...figures, queue: 0 }, {
        fpsIn: 0, fpsOut: 0, ageMs: null, screens: 2, running: null, queue: 0, state: 'idle',
    });
    assert.equal(progressOf(null), null);
    assert.equal(progressOf({ step: 0, total_steps: 0 }), null);
});

test('switches are told at once, whatever the state says', () => {
    const stateOf = (canvas) => figuresOf({ ...CANVAS, state: 'painting', ...canvas }, undefined, []).state;

    assert.equal(stateOf({ paused: true }), 'paused');
    assert.equal(stateOf({ paused: true, blank: true }), 'blank');
});

test('both languages say the same things, and every setting has its label', () => {
    assert.deepEqual(Object.keys(TEXTS.ru).sort(), Object.keys(TEXTS.en).sort());
    for (const each of ALL_SETTINGS) {
        assert.ok(TEXTS.en[labelOf(each)], labelOf(each));
        for (const choice of each.choices ?? []) {
            assert.ok(TEXTS.en[`${labelOf(each)}.${choice}`], `${labelOf(each)}.${choice}`);
        }
    }
});

test('what is usual of the size and the rate is the server\'s to know', () => {
    for (const name of ['width', 'height', 'fps']) {
        assert.equal(setting(name).usual, undefined);
    }
});
