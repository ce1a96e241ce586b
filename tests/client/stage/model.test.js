import assert from 'node:assert/strict';
import test from 'node:test';

import { Model } from '../../../client/stage/model.js';
import { WORDS } from '../../../client/stage/texts.js';

// This browser's clock is ten seconds behind the server's.
const SERVER = 1_700_000_000_000;
const HERE = SERVER - 10_000;

function job(fields = {}) {
    return {
        id: 'job-1',
        kind: 'once',
        state: 'running',
        source: 'api',
        author: 'Ann',
        message: 'for my cat',
        prompt: 'a cat in space',
        parameters: { folder: null },
        step: 5,
        total_steps: 20,
        created_ms: SERVER - 5000,
        started_ms: SERVER,
        ends_ms: null,
        loading: null,
        ...fields,
    };
}

function status(fields = {}) {
    const queue = { length: 0, next: [] };
    return { type: 'status', canvas: 'stage', state: 'painting', job: job(), queue, ...fields };
}

function greeted(words = WORDS.en) {
    const model = new Model('stage', words, HERE);
    model.greet({ epoch: 'first', server_time_ms: SERVER }, HERE);
    return model;
}

function shown(fields, atMs = HERE) {
    const model = greeted();
    model.follow(status(fields), HERE);
    return model.view(atMs);
}

test('it tells who asked, the message, the prompt and how far it is', () => {
    const view = shown({}, HERE + 65_000);

    assert.equal(view.phase, 'painting');
    assert.equal(view.label, 'Painting now');
    assert.deepEqual([view.who, view.isNamed], ['Ann', true]);
    assert.deepEqual([view.message, view.prompt], ['for my cat', 'a cat in space']);
    assert.deepEqual([view.step, view.elapsed, view.remaining], ['Step 5 / 20', '1:05', '']);
    assert.deepEqual(view.job, { id: 'job-1', startedMs: SERVER });
});

test('where an end is known the remaining time is told', () => {
    const view = shown({ job: job({ ends_ms: SERVER + 90_000 }) }, HERE + 30_000);

    assert.deepEqual([view.elapsed, view.remaining], ['0:30', '−1:00']);
    assert.equal(shown({ job: job({ ends_ms: SERVER + 90_000 }) }, HERE + 95_000).remaining, '0:00');
});

test('the bar goes with the words: it is of the job that they are of', () => {
    const model = greeted();
    model.follow(status(), HERE);

    assert.equal(model.view(HERE).way[0].fraction, 0.25);
    model.follow(status({ state: 'idle', job: null }), HERE + 5000);
    assert.deepEqual(model.view(HERE + 5000).way, []);
    assert.deepEqual(shown({ job: job({ total_steps: 0 }) }).way, []);
});

test('without an author it tells where the job came from', () => {
    for (const author of [null, undefined, '', '  ', '\u200b\u200d', 7]) {
        const view = shown({ job: job({ author }) });
        assert.deepEqual([view.who, view.isNamed], ['API', false]);
    }
    assert.equal(shown({ job: job({ author: null, source: 'donationalerts\u202e' }) }).who, 'donationalerts');
    assert.equal(shown({ job: job({ author: null, source: 'constructor' }) }).who, 'constructor');
    assert.equal(shown({ job: job({ kind: 'constructor' }) }).label, '');
});

test('what strangers wrote comes clean', () => {
    const strange = { author: '\u202eevil\u0000', message: '<b>hi</b>\n\n', prompt: 'x'.repeat(5000) };

    const view = shown({ job: job(strange) });

    assert.deepEqual([view.who, view.message], ['evil', '<b>hi</b>']);
    assert.equal(view.prompt.length, 2000);
});

test('a prompt that says what the message says is said once', () => {
    const view = shown({ job: job({ message: 'a cat ', prompt: 'a cat' }) });

    assert.deepEqual([view.message, view.prompt], ['a cat', '']);
});

test('what has no prompt says what it shows', () => {
    const promptOf = (fields) => shown({ job: job({ prompt: '', message: null, ...fields }) }).prompt;

    assert.equal(promptOf({ kind: 'playlist', parameters: { folder: 'samples' } }), 'Sample pictures');
    assert.equal(promptOf({ kind: 'playlist', parameters: { folder: 'My trip' } }), 'Pictures of “My trip”');
    assert.equal(promptOf({ kind: 'ingest' }), 'A picture from outside');
    assert.equal(promptOf({ kind: 'test' }), 'Sample pictures');
    assert.equal(promptOf({ kind: 'drawing', parameters: null }), '');
});

test('the queue is told in its order, and how many more wait', () => {
    const next = ['a', 'b', 'c', 'd', 'e'].map((id) => job({ id, author: `who ${id}`, prompt: `wish ${id}` }));

    const view = shown({ queue: { length: 12, next } });

    assert.deepEqual(view.next.map(({ who }) => who), ['who a', 'who b', 'who c', 'who d', 'who e']);
    assert.equal(view.next[0].wish, 'wish a');
    assert.equal(view.more, 'and 7 more');
    assert.equal(shown({ queue: { length: 5, next } }).more, '');
});

test('a status with odd fields is shown as far as it goes', () => {
    const odd = { ...job(), step: 'x', total_steps: -1, started_ms: 'now', ends_ms: NaN, message: {}, prompt: [1] };

    const view = shown({ job: odd, queue: { length: 'many', next: [null, 7, {}, job({ id: 'b' })] } });

    assert.deepEqual([view.step, view.elapsed, view.remaining, view.message], ['', '', '', '']);
    assert.equal(view.isEndless, true);
    assert.equal(view.next.length, 1);
    assert.equal(shown({ queue: null }).next.length, 0);
});

test('steps are told where there are some', () => {
    assert.equal(shown({ job: job({ step: 0, total_steps: 1 }) }).step, '');
    assert.equal(shown({ job: job({ step: 0, total_steps: 0 }) }).step, '');
    assert.equal(shown({ job: job({ step: 25 }) }).step, 'Step 20 / 20');
});

test('a model that is loaded, a pause and a service that is away are told', () => {
    assert.equal(shown({ job: job({ loading: 'sdxl' }) }).label, 'Getting ready to paint');
    const paused = shown({ state: 'paused' });
    assert.deepEqual([paused.phase, paused.label, paused.who], ['paused', 'Paused', 'Ann']);
    const away = shown({ state: 'unavailable' });
    assert.deepEqual([away.phase, away.who], ['unavailable', 'Ann']);
});

test('a blackout takes the words away, too', () => {
    const view = shown({ state: 'blank', queue: { length: 1, next: [job({ id: 'b' })] } });

    assert.deepEqual([view.phase, view.who, view.message, view.prompt, view.next], ['blank', '', '', '', []]);
});

test('with nothing to do it waits', () => {
    const view = shown({ state: 'idle', job: null });

    assert.equal(view.phase, 'waiting');
    assert.deepEqual([view.who, view.isRunning, view.elapsed], ['Waiting for the next wish', false, '']);
    assert.equal(view.changesInMs, Infinity);
});

test('whose finished picture is shown keeps the credit for it', () => {
    const model = greeted();
    model.follow(status(), HERE);
    model.follow(status({ state: 'idle', job: null }), HERE + 5000);
    // Its last picture is still to come.
    assert.deepEqual([model.view(HERE + 5000).who, model.view(HERE + 5000).changesInMs], ['Ann', 1000]);

    const isNews = model.show({ job: 'job-1', final: true });

    const view = model.view(HERE + 60_000);
    assert.equal(isNews, true);
    assert.deepEqual([view.phase, view.who, view.isRunning, view.elapsed], ['waiting', 'Ann', false, '']);
    assert.equal(view.changesInMs, Infinity);
    assert.equal(model.show({ job: 'job-1', final: true }), false);
});

test('a cancelled job leaves no words behind', () => {
    const model = greeted();
    model.follow(status(), HERE);
    model.show({ job: 'job-1', final: false });

    model.follow(status({ state: 'idle', job: null }), HERE + 5000);

    assert.equal(model.view(HERE + 6000).who, 'Waiting for the next wish');
});

test('the next picture takes the credit of the last one away', () => {
    const model = greeted();
    model.follow(status(), HERE);
    model.show({ job: 'job-1', final: true });
    model.follow(status({ state: 'idle', job: null }), HERE + 5000);

    model.show({ job: null, final: true });

    assert.equal(model.view(HERE + 6000).who, 'Waiting for the next wish');
});

test('times need no telling: they are those of the server at any instant', () => {
    const model = greeted();
    model.follow(status(), HERE);

    const first = model.view(HERE + 1_000);
    // Nobody asks for an hour, as of a page that is hidden.
    const later = model.view(HERE + 3_601_000);

    assert.deepEqual([first.elapsed, later.elapsed], ['0:01', '1:00:01']);
    assert.equal(first.changesInMs, 1000);
});

test('the measured clock is believed, and the first one until then', () => {
    const model = greeted();
    model.follow(status(), HERE);
    assert.equal(model.view(HERE + 5000).elapsed, '0:05');

    model.setClock({ offset_ms: 12_000 });
    assert.equal(model.view(HERE + 5000).elapsed, '0:07');
    model.greet({ epoch: 'first', server_time_ms: SERVER + 99_000 }, HERE + 5000);
    assert.equal(model.view(HERE + 5000).elapsed, '0:07');
});

test('a lost connection is told after two seconds, and the time stands still from then on', () => {
    const model = greeted();
    model.follow(status(), HERE);

    model.lose(HERE + 10_000, 1006);

    const at = (ms) => model.view(HERE + ms);
    assert.deepEqual([at(11_000).phase, at(11_000).elapsed], ['painting', '0:11']);
    assert.deepEqual([at(12_000).phase, at(12_000).elapsed], ['lost', '0:12']);
    assert.deepEqual([at(90_000).elapsed, at(90_000).who, at(90_000).label], ['0:12', 'Ann', 'No connection']);
    assert.equal(at(90_000).changesInMs, Infinity);
    assert.equal(at(10_500).changesInMs, 500);
});

test('further losses do not begin the patience anew', () => {
    const model = greeted();
    model.lose(HERE + 1000, 1006);
    model.lose(HERE + 4000, 1006);

    assert.equal(model.view(HERE + 4000).phase, 'lost');
});

test('back again it is where it should be', () => {
    const model = greeted();
    model.follow(status(), HERE);
    model.lose(HERE + 10_000);

    model.greet({ epoch: 'first' }, HERE + 70_000);

    assert.deepEqual([model.view(HERE + 70_000).phase, model.view(HERE + 70_000).elapsed], ['painting', '1:10']);
});

test('another incarnation of the canvas owes the last one nothing', () => {
    const model = greeted();
    model.follow(status(), HERE);

    model.greet({ epoch: 'second' }, HERE + 1000);

    assert.equal(model.view(HERE + 1000).who, 'Waiting for the next wish');
});

test('before the first word of the server it is quiet, and then tells that there is no connection', () => {
    const model = new Model('stage', WORDS.en, HERE);

    assert.deepEqual([model.view(HERE).phase, model.view(HERE).label], ['connecting', '']);
    assert.equal(model.view(HERE + 2000).phase, 'lost');
});

test('a full server, a canvas that is not there and a refusal are told', () => {
    const model = new Model('stage', WORDS.en, HERE);
    model.lose(HERE, 1013);
    assert.deepEqual([model.view(HERE + 2000).phase, model.view(HERE + 2000).label], ['full', 'The server is full']);

    for (const [code, phase, label] of [
        [4404, 'gone', 'There is no such canvas'],
        [1008, 'refused', 'The server refuses this page'],
        [1002, 'refused', 'The server refuses this page'],
    ]) {
        const ended = greeted();
        ended.follow(status(), HERE);
        ended.lose(HERE, code);
        ended.end(code);
        const view = ended.view(HERE);
        assert.deepEqual([view.phase, view.label, view.who, view.message], [phase, label, 'stage', '']);
        assert.equal(view.changesInMs, Infinity);
    }
});

test('both languages say everything', () => {
    const keys = (words) => Object.entries(words).map(([key, value]) => [key, Object.keys(value).sort()]);

    const plain = ({ phases, kinds, sources }) => keys({ phases, kinds, sources });
    assert.deepEqual(plain(WORDS.ru), plain(WORDS.en));
    assert.deepEqual(Object.keys(WORDS.ru).sort(), Object.keys(WORDS.en).sort());
    assert.equal(WORDS.ru.more(3), 'и ещё 3');
});

test('while nothing goes on nothing counts down, and the bar stands', () => {
    for (const state of ['paused', 'unavailable']) {
        const model = greeted();
        const timed = job({ started_ms: SERVER - 30_000, ends_ms: SERVER + 90_000, step: 1, total_steps: 4 });
        model.follow(status({ state, job: timed }), HERE);

        const view = model.view(HERE + 10_000);
        assert.deepEqual([view.elapsed, view.remaining], ['0:40', '']);
        assert.equal(view.way.at(-1).fraction, 0.25);
        model.lose(HERE + 10_000, 1006);
        assert.equal(model.view(HERE + 15_000).remaining, '');
        model.follow(status({ job: timed }), HERE + 10_000);
        assert.equal(model.view(HERE + 10_000).remaining, '−1:20');
    }
});

test('what paints one picture for a while has no rate', () => {
    assert.equal(shown({ job: job({ kind: 'once' }) }).hasRate, false);
    assert.equal(shown({ job: job({ kind: 'variations' }) }).hasRate, false);
    assert.equal(shown({ job: job({ kind: 'live' }) }).hasRate, true);
    assert.equal(shown({ state: 'idle', job: null }).hasRate, true);
});
