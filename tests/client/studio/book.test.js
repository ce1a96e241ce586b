import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobBook, isEnded, newest } from '../../../client/studio/jobs/book.js';
import { job } from './fakes.js';

const ids = (book) => book.newestFirst().map(({ id }) => id);

const page = (...listed) => ({ newest: listed, going: [] });

test('a job never goes back in its states, whatever comes late', () => {
    const running = job('a', { step: 3 });
    const done = job('a', { state: 'succeeded', step: 4 });

    assert.equal(newest(done, running), done);
    assert.equal(newest(running, done), done);
    assert.equal(newest(running, job('a', { state: 'queued' })), running);
    assert.equal(isEnded(done), true);
});

test('a step of a job that was painted anew counts, though it is lower', () => {
    const book = new JobBook(10);
    book.tell(job('a', { step: 8 }));

    book.tell(job('a', { step: 1 }));

    assert.equal(book.jobs.get('a').step, 1);
});

test('what was told while a list was on its way is newer than the list', () => {
    const book = new JobBook(10);
    const told = book.beginList();
    book.tell(job('a', { step: 5 }));
    book.tell(job('b', { created_ms: 3000 }));

    book.endList(told, page(job('a', { step: 4 })), 10);

    assert.equal(book.jobs.get('a').step, 5);
    assert.deepEqual(ids(book), ['b', 'a']);
});

test('a list is newer than what was told before it was asked for', () => {
    const book = new JobBook(10);
    book.tell(job('a', { step: 5 }));
    const told = book.beginList();

    book.endList(told, page(job('a', { step: 9 })), 10);

    assert.equal(book.jobs.get('a').step, 9);
});

test('what a list does not name any more is gone: the server was started anew', () => {
    const book = new JobBook(10);
    book.tell(job('old'));

    book.endList(book.beginList(), page(job('new')), 10);

    assert.deepEqual(ids(book), ['new']);
});

test('older jobs than a short list reaches stay', () => {
    const book = new JobBook(10);
    book.tell(job('old', { state: 'succeeded', created_ms: 10 }));
    book.tell(job('gone', { state: 'succeeded', created_ms: 2500 }));

    book.endList(book.beginList(), page(job('b', { created_ms: 3000 }), job('a', { created_ms: 2000 })), 2);

    assert.deepEqual(ids(book), ['b', 'a', 'old']);
});

test('what runs is known, however many have ended since it began', () => {
    const book = new JobBook(100);
    const ended = Array.from({ length: 100 }, (_, number) =>
        job(`ended-${number}`, { state: 'succeeded', created_ms: 5000 - number }));

    book.endList(book.beginList(), { newest: ended, going: [job('live', { created_ms: 1 })] }, 100);
    book.endList(book.beginList(), { newest: ended, going: [job('live', { created_ms: 1, step: 2 })] }, 100);

    assert.equal(book.jobs.size, 101);
    assert.equal(book.jobs.get('live').step, 2);
});

test('what ran and is listed no more as running is gone, however old it is', () => {
    const book = new JobBook(2);
    book.tell(job('away', { created_ms: 1 }));

    book.endList(book.beginList(), page(job('b', { created_ms: 3000 }), job('a', { created_ms: 2000 })), 2);

    assert.deepEqual(ids(book), ['b', 'a']);
});

test('two lists on their way do not take what was told from each other', () => {
    const book = new JobBook(10);
    const first = book.beginList();
    const second = book.beginList();
    book.tell(job('a', { step: 5 }));

    book.endList(first, page(job('a', { step: 1 })), 10);
    book.endList(second, page(job('a', { step: 2 })), 10);

    assert.equal(book.jobs.get('a').step, 5);
});

test('ended jobs are kept up to a limit, running ones always', () => {
    const book = new JobBook(2);
    book.tell(job('running', { created_ms: 1 }));
    for (let number = 0; number < 5; number += 1) {
        book.tell(job(`done-${number}`, { state: 'succeeded', created_ms: 100 + number }));
    }

    assert.deepEqual(ids(book), ['done-4', 'done-3', 'running']);
});
