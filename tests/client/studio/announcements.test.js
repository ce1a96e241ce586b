import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Announcements } from '../../../client/studio/jobs/announcements.js';
import { image, job } from './fakes.js';

test('what was there when the page was opened is no news', () => {
    const announcements = new Announcements();

    assert.deepEqual(announcements.news([job('a', { state: 'succeeded', images: [image()] })]), []);
});

test('pictures that are ready together are told together', () => {
    const announcements = new Announcements();
    announcements.news([job('a'), job('b')]);

    const done = { state: 'succeeded', images: [image()] };
    const news = announcements.news([job('a', done), job('b', done)]);

    assert.deepEqual(news, [{ key: 'announce.ready', values: { count: 2 } }]);
    assert.deepEqual(announcements.news([job('a', done), job('b', done)]), []);
});

test('a job that came and ended between two looks is told', () => {
    const announcements = new Announcements();
    announcements.news([]);

    const news = announcements.news([job('a', { state: 'failed', error: 'no memory' })]);

    assert.deepEqual(news, [{ key: 'announce.failed', values: { prompt: 'prompt of a', error: 'no memory' } }]);
});

test('the way is told by quarters, not by steps', () => {
    const announcements = new Announcements();
    announcements.news([]);

    const told = [];
    for (let step = 0; step <= 20; step += 1) {
        told.push(...announcements.news([job('a', { step, total_steps: 20 })]).map(({ values }) => values.percent));
    }

    assert.deepEqual(told, [25, 50, 75]);
});

test('quarters of many jobs at once are noise', () => {
    const announcements = new Announcements();
    announcements.news([]);

    const jobs = ['a', 'b', 'c'].map((id) => job(id, { step: 10, total_steps: 20 }));

    assert.deepEqual(announcements.news(jobs), []);
});

test('older results that are looked up are no news', () => {
    const announcements = new Announcements();
    const running = job('new', { created_ms: 100 });
    announcements.news([running]);

    const older = [
        job('old1', { state: 'failed', error: 'no memory', created_ms: 1 }),
        job('old2', { state: 'succeeded', images: [image()], created_ms: 2 }),
    ];

    assert.deepEqual(announcements.news([running, ...older]), []);
});

test('a live picture that fails is told like any other', () => {
    const announcements = new Announcements();
    announcements.news([job('a', { kind: 'live' })]);

    const failed = job('a', { kind: 'live', state: 'failed', error: 'no memory' });

    assert.deepEqual(announcements.news([failed]).map(({ key }) => key), ['announce.failed']);
    assert.deepEqual(announcements.news([failed]), []);
});

test('a live picture on its way tells nothing, nor does its end', () => {
    const announcements = new Announcements();
    announcements.news([]);

    assert.deepEqual(announcements.news([job('a', { kind: 'live', step: 3, total_steps: 4 })]), []);
    const done = { kind: 'live', state: 'succeeded', images: [image()] };
    assert.deepEqual(announcements.news([job('a', done)]), []);
});
