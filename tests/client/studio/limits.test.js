import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitsOf } from '../../../client/studio/prompt/limits.js';
import { RULES } from '../../../client/studio/prompt/values.js';
import { model } from './fakes.js';

const canvas = (width, height, fps = 4) => ({ width, height, fps });

test('a model bounds what can be asked of it', () => {
    const { rules } = limitsOf(model('m'), []);

    assert.equal(rules.steps.max, 50);
    assert.deepEqual(rules.width, { min: 64, max: 1024, step: 8 });
    assert.deepEqual(rules.height, rules.width);
    assert.equal(rules.seed, RULES.seed);
});

test('while no model is known the bounds of the server hold', () => {
    assert.deepEqual(limitsOf(null, []), { rules: RULES, defaults: {}, unused: [] });
});

test('what a model does not use is named', () => {
    const turbo = model('turbo', {
        uses_negative_prompt: false, uses_guidance: false, paints_from_source: false, paints_from_mask: false,
    });

    assert.deepEqual(limitsOf(turbo, []).unused, ['negative_prompt', 'guidance_scale', 'source', 'strength', 'mask']);
    assert.deepEqual(limitsOf(model('full'), []).unused, []);
});

test('an empty field stands for what the canvases or the model have', () => {
    const { defaults } = limitsOf(model('m'), [canvas(768, 512), canvas(768, 512)]);

    assert.deepEqual(defaults, { fps: '4', width: '768', height: '512', steps: '4', guidance_scale: '2' });
    assert.equal(limitsOf(model('m'), []).defaults.width, '512');
});

test('canvases of several sizes and rates have no common default', () => {
    const { defaults } = limitsOf(model('m'), [canvas(768, 512), canvas(512, 512, 8)]);

    assert.equal('width' in defaults, false);
    assert.equal('fps' in defaults, false);
});
