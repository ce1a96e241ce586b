import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemOfFile } from '../../../client/studio/prompt/pictures.js';
import {
    EMPTY, RULES, bodyOf, problemOf, readDraft, usedFields, valuesOf,
} from '../../../client/studio/prompt/values.js';
import { EN } from '../../../client/studio/texts/en.js';
import { RU } from '../../../client/studio/texts/ru.js';
import { Texts } from '../../../client/studio/texts.js';
import { image, job } from './fakes.js';

const AIM = { canvases: ['left', 'right'], sourceId: null, maskId: null, rules: RULES };
const filled = (changes = {}) => ({ ...EMPTY, prompt: ' a lighthouse ', ...changes });

test('a body holds what was asked for and nothing that was left to the model', () => {
    const body = bodyOf(filled(), AIM);

    assert.deepEqual(body, {
        prompt: 'a lighthouse', mode: 'live', when: 'now', transition_s: 2, canvases: ['left', 'right'],
    });
});

test('a body holds every field of a full form, numbers as numbers', () => {
    const values = filled({
        mode: 'variations', negative_prompt: 'people', count: '3', fps: '2.5', steps: '20', guidance_scale: '7.5',
        seed: '42', seeding: 'keep', width: '768', height: '512', model: 'm', style: 's', template: 't',
        upscale: '2', source: 'upload', strength: '0.4', when: 'queue', author: 'Ann', message: 'hello',
    });

    const body = bodyOf(values, { ...AIM, canvases: ['left'], sourceId: 'id-1', maskId: 'id-2' });

    assert.deepEqual(body, {
        prompt: 'a lighthouse', mode: 'variations', when: 'queue', negative_prompt: 'people', model: 'm', style: 's',
        template: 't', author: 'Ann', message: 'hello', count: 3, fps: 2.5, steps: 20, guidance_scale: 7.5, seed: 42,
        width: 768, height: 512, strength: 0.4, upscale: 2, source: 'id-1', mask: 'id-2', canvases: ['left'],
    });
});

test('a field that does not count is not sent, whatever it holds', () => {
    const values = filled({ mode: 'once', count: '9', fps: '30', transition_s: '5', seed: '1', strength: '0.2' });

    const body = bodyOf(values, { ...AIM, canvases: [], sourceId: 'id', maskId: 'id' });

    assert.deepEqual(body, { prompt: 'a lighthouse', mode: 'once', when: 'now' });
});

test('each mode uses its own fields', () => {
    const used = (mode) => ['count', 'fps', 'transition_s'].filter((f) => usedFields(filled({ mode })).has(f));

    assert.deepEqual(used('live'), ['fps', 'transition_s']);
    assert.deepEqual(used('once'), []);
    assert.deepEqual(used('variations'), ['count', 'fps']);
});

test('the current picture is a source without a mask', () => {
    const body = bodyOf(filled({ source: 'current' }), { ...AIM, sourceId: 'id', maskId: 'id' });

    assert.equal(body.source, 'current');
    assert.equal('mask' in body, false);
    assert.equal(body.strength, 0.6);
});

for (const [why, changes, aim, field] of [
    ['no prompt', { prompt: '  ' }, {}, 'prompt'],
    ['live without a canvas', {}, { canvases: [] }, 'mode'],
    ['the current picture of no canvas', { mode: 'once', source: 'current' }, { canvases: [] }, 'source'],
    ['an image that was not chosen', { source: 'upload' }, {}, 'source'],
    ['too many steps', { steps: '101' }, {}, 'steps'],
    ['half a step', { steps: '1.5' }, {}, 'steps'],
    ['no number', { guidance_scale: 'NaN' }, {}, 'guidance_scale'],
    ['a width that is no multiple of 8', { width: '513' }, {}, 'width'],
    ['a seed that is too large', { seeding: 'keep', seed: '2147483648' }, {}, 'seed'],
    ['no pictures', { mode: 'variations', count: '0' }, {}, 'count'],
]) {
    test(`a form with ${why} is told at its field`, () => {
        assert.equal(problemOf(filled(changes), { ...AIM, ...aim }).field, field);
    });
}

test('what does not count cannot be wrong', () => {
    assert.equal(problemOf(filled({ mode: 'once', count: '0', fps: '999', seed: '-1' }), AIM), null);
});

test('a job read back into the form asks for the same again', () => {
    const values = filled({
        mode: 'variations', prompt: 'a lighthouse', negative_prompt: 'people', count: '3', fps: '2', steps: '20',
        guidance_scale: '7.5', seed: '42', seeding: 'keep', width: '768', height: '512', model: 'm', style: 's',
        template: 't', upscale: '2', author: 'Ann', message: 'hello',
    });
    const body = bodyOf(values, AIM);
    const made = job('a', {
        kind: body.mode, prompt: body.prompt, author: body.author, message: body.message, parameters: body,
    });

    assert.deepEqual(bodyOf(valuesOf(made), AIM), body);
});

test('a picture read back brings its own seed', () => {
    const made = job('a', { kind: 'variations', parameters: { seed: 7, count: 3 } });

    const values = valuesOf(made, image({ metadata: { seed: 9 } }));

    assert.equal(values.seed, '9');
    assert.equal(values.seeding, 'keep');
    assert.equal(values.mode, 'variations');
});

test('a job that was no prompt is read back as one picture', () => {
    assert.equal(valuesOf(job('a', { kind: 'playlist' })).mode, 'once');
});

test('a draft comes back, without the image that went with the page', () => {
    const draft = JSON.stringify(filled({ source: 'upload', steps: '9' }));

    const values = readDraft(draft);

    assert.equal(values.steps, '9');
    assert.equal(values.source, 'none');
    assert.equal(readDraft(JSON.stringify(filled({ source: 'current' }))).source, 'current');
});

test('a draft that is none is an empty form', () => {
    for (const kept of [null, '', '{', 'null', '[]', '7', '{"prompt": 5, "token": "x"}']) {
        assert.deepEqual(readDraft(kept), EMPTY, String(kept));
    }
});

test('an image that the server would refuse for its size is not sent', () => {
    const most = 32 * 1024 * 1024;

    assert.equal(problemOfFile({ size: most }), null);
    const { key, values } = problemOfFile({ size: most + 1 });
    assert.equal(new Texts({ en: EN, ru: RU }, 'en').t(key, values), 'An image has at most 32 MB.');
    assert.equal(new Texts({ en: EN, ru: RU }, 'ru').t(key, values), 'Изображение — не больше 32 МБ.');
});
