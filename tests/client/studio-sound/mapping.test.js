import assert from 'node:assert/strict';
import test from 'node:test';

import { MAX_MAPPINGS, Mappings, PARAMETERS, placeOf, settingsOf } from '../../../client/studio/sound/mapping.js';
import { Targets } from '../../../client/studio/sound/targets.js';
import { TEXTS } from '../../../client/studio/sound/texts.js';
import { FEATURES } from '../../../client/sound/features.js';

const SPEED = { feature: 'level', parameter: 'speed', low: 1, high: 4, smoothing_s: 0.3 };
const PALETTE = { feature: 'beat', parameter: 'palette', low: 0, high: 40, smoothing_s: 0.25 };

function edited(...mappings) {
    const made = new Mappings();
    made.take(mappings);
    return made;
}

test('what the canvas has is sent back as it came', () => {
    assert.deepEqual(edited(SPEED, PALETTE).list(), [SPEED, PALETTE]);
});

test('a row keeps its place on the page while its numbers change', () => {
    const mappings = edited(SPEED, PALETTE);
    const [first, second] = mappings.rows.map(({ key }) => key);

    mappings.change(first, 'high', 6);
    mappings.take([{ ...SPEED, high: 6 }, { ...PALETTE, low: -10 }]);

    assert.deepEqual(mappings.rows.map(({ key }) => key), [first, second]);
    assert.equal(mappings.rows[1].low, -10);
});

test('another parameter is another row, with a range that it accepts', () => {
    const mappings = edited(PALETTE);
    const { key } = mappings.rows[0];

    mappings.change(key, 'parameter', 'speed');

    assert.notEqual(mappings.rows[0].key, key);
    assert.deepEqual(mappings.list(), [{ ...PALETTE, parameter: 'speed', low: 1, high: 4 }]);
});

test('a new row moves what nothing moves yet, within its range', () => {
    const mappings = edited(SPEED);
    for (let count = 1; count < MAX_MAPPINGS; count += 1) {
        assert.ok(mappings.hasRoom);
        mappings.add();
    }

    assert.ok(!mappings.hasRoom);
    assert.deepEqual(new Set(mappings.list().map(({ parameter }) => parameter)), new Set(Object.keys(PARAMETERS)));
    for (const { parameter, low, high } of mappings.list()) {
        const { min, max } = PARAMETERS[parameter];
        assert.ok(min <= low && low < high && high <= max);
    }
});

test('a row that is removed leaves the others', () => {
    const mappings = edited(SPEED, PALETTE);

    mappings.remove(mappings.rows[0].key);

    assert.deepEqual(mappings.list(), [PALETTE]);
});

test('sliders end where the parameter ends', () => {
    const [, , low, high] = settingsOf({ ...PALETTE, key: 'a' });

    assert.deepEqual([low.min, low.max, high.min, high.max], [-180, 180, -180, 180]);
});

test('an error finds its row and its setting', () => {
    assert.deepEqual(placeOf('audio.mappings.3.high'), { index: 3, name: 'high' });
    assert.deepEqual(placeOf('audio.mappings.0'), { index: 0, name: 'low' });
    assert.equal(placeOf('audio'), null);
    assert.equal(placeOf(null), null);
});

function aimed(...taking) {
    const sent = [];
    const canvases = {
        takesAudio: (slug) => taking.includes(slug),
        send: (slug, { level }) => sent.push([slug, level]),
    };
    return { targets: new Targets(canvases), sent };
}

const message = (level) => ({ ...Object.fromEntries(FEATURES.map((name) => [name, 0])), type: 'audio', level });

test('only canvases that take sound are told', () => {
    const { targets, sent } = aimed('left', 'right');

    const { told, deaf } = targets.aim(['left', 'locked']);
    targets.send(message(0.5));

    assert.deepEqual([told, deaf], [['left'], ['locked']]);
    assert.deepEqual(sent, [['left', 0.5]]);
});

test('a canvas that is told no more hears zeros, once', () => {
    const { targets, sent } = aimed('left', 'right');
    targets.aim(['left', 'right']);
    targets.send(message(0.5));

    targets.aim(['left']);
    targets.aim(['left']);
    targets.send(message(0.25));

    assert.deepEqual(sent, [['left', 0.5], ['right', 0.5], ['right', 0], ['left', 0.25]]);
});

test('a canvas that has heard nothing is told no zeros', () => {
    const { targets, sent } = aimed('left');
    targets.aim(['left']);

    targets.send(message(0));
    targets.aim([]);

    assert.deepEqual(sent, []);
});

test('both languages say the same things, and everything that is shown has a name', () => {
    assert.deepEqual(Object.keys(TEXTS.ru).sort(), Object.keys(TEXTS.en).sort());
    for (const name of FEATURES) {
        assert.ok(TEXTS.en[`sound.feature.${name}`]);
    }
    for (const name of Object.keys(PARAMETERS)) {
        assert.ok(TEXTS.en[`sound.parameter.${name}`]);
    }
    const states = ['off', 'starting', 'waiting', 'listening'];
    const reasons = ['refused', 'absent', 'busy', 'insecure', 'lost', 'unsupported', 'undecodable'];
    for (const state of [...states, ...reasons]) {
        assert.ok(TEXTS.en[`sound.state.${state}`], state);
    }
});
