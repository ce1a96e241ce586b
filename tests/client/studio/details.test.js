import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Format } from '../../../client/studio/format.js';
import {
    differencesOf, factsOf, keyOf, resultsOf, seedOf, summaryOf, warningsOf,
} from '../../../client/studio/jobs/details.js';
import { EN } from '../../../client/studio/texts/en.js';
import { RU } from '../../../client/studio/texts/ru.js';
import { Texts } from '../../../client/studio/texts.js';
import { image, job } from './fakes.js';

const texts = new Texts({ en: EN, ru: RU }, 'en');
const t = texts.t.bind(texts);
const format = new Format('en');
const shown = (changes = {}, of = {}) => ({ job: job('a', of), image: image(changes), index: 0 });
const table = (facts) => Object.fromEntries(facts.map(({ key, value }) => [key, value]));

test('the facts of a picture are what it was asked for and what was made of it', () => {
    const facts = table(factsOf(shown({}, { author: 'Ann', canvas: null }), t, format));

    assert.equal(facts['detail.model'], 'procedural');
    assert.equal(facts['detail.engine'], 'procedural, not a neural network');
    assert.equal(facts['detail.size'], '512 × 512');
    assert.equal(facts['detail.steps'], '20');
    assert.equal(facts['detail.guidance_scale'], '1.5');
    assert.equal(facts['detail.painted_for'], '1.5 sec');
    assert.equal(facts['detail.queued_for'], '4 ms');
    assert.equal(facts['detail.stages'], 'text 2 ms, denoise 1.4 sec');
    assert.equal(facts['detail.canvas'], 'no canvas');
    assert.equal(facts['detail.author'], 'Ann');
});

test('what is not known is left out', () => {
    const facts = table(factsOf({ ...shown(), image: { ...image(), metadata: {} } }, t, format));

    const unknown = ['detail.model', 'detail.steps', 'detail.style', 'detail.painted_for', 'detail.stages'];
    assert.deepEqual(unknown.filter((key) => key in facts), []);
    assert.equal(facts['detail.seed'], '7');
});

test('a guidance of nothing is a number, too', () => {
    const facts = table(factsOf(shown({ metadata: { guidance_scale: 0 } }), t, format));

    assert.equal(facts['detail.guidance_scale'], '0');
});

test('a picture has the seed that it was painted with', () => {
    assert.equal(seedOf(shown({ metadata: { seed: 9 } })), '9');
    assert.equal(summaryOf(shown(), t), 'procedural · 512 × 512 · Steps 20 · Seed 7');
});

test('notes of the job and of the picture are told once each', () => {
    const both = shown({ metadata: { warnings: ['no mask', 'small'] } }, { warnings: ['small', 'count'] });

    assert.deepEqual(warningsOf(both), ['no mask', 'small', 'count']);
});

test('what differs between two pictures is marked, what is missing too', () => {
    const facts = (values) => Object.entries(values).map(([key, value]) => ({ key, value }));
    const a = facts({ 'detail.seed': '7', 'detail.model': 'm' });
    const b = facts({ 'detail.seed': '8', 'detail.model': 'm', 'detail.style': 's' });

    assert.deepEqual(differencesOf(a, b), [
        { key: 'detail.seed', a: '7', b: '8', differs: true },
        { key: 'detail.model', a: 'm', b: 'm', differs: false },
        { key: 'detail.style', a: '', b: 's', differs: true },
    ]);
});

test('every picture of a finite job is a result; a live one is none', () => {
    const results = resultsOf([
        job('live', { kind: 'live', images: [image()] }),
        job('several', { kind: 'variations', images: [image(), image()] }),
        job('none'),
    ]);

    assert.deepEqual(results.map(keyOf), ['several/0', 'several/1']);
});
