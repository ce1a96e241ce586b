import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Previews } from '../../../client/studio/jobs/previews.js';
import { hasPreview } from '../../../client/studio/jobs/row.js';
import { FakeEnvironment, settle } from '../fakes.js';
import { job } from './fakes.js';

function made() {
    const environment = new FakeEnvironment();
    const loads = [];
    const load = (url) => new Promise((resolve, reject) => {
        loads.push({ url, resolve, reject });
    });
    return { environment, loads, previews: new Previews(load, environment) };
}

const wish = (id, version, intervalMs = 250) => ({ url: `/jobs/${id}/preview`, version, intervalMs });

test('each step is asked for anew, past every cache', async () => {
    const { previews, loads, environment } = made();
    const shown = [];
    previews.setVisible('a', true);
    previews.follow('a', wish('a', '1-0'), (blob) => shown.push(blob));
    loads[0].resolve('one');
    await settle();
    environment.advance(250);

    previews.follow('a', wish('a', '2-0'), () => {});
    loads[1].resolve('two');
    await settle();

    assert.deepEqual(loads.map(({ url }) => url), ['/jobs/a/preview?at=1-0', '/jobs/a/preview?at=2-0']);
    assert.deepEqual(shown, ['one', 'two']);
});

test('quick steps are asked for four times a second, the newest at last', async () => {
    const { previews, loads, environment } = made();
    previews.setVisible('a', true);
    for (let ms = 0; ms < 1000; ms += 20) {
        previews.follow('a', wish('a', String(ms)), () => {});
        loads.at(-1).resolve('x');
        await settle();
        environment.advance(20);
    }
    environment.advance(250);

    assert.equal(loads.length, 5);
    assert.equal(loads.at(-1).url, '/jobs/a/preview?at=980');
});

test('one job never has two requests on their way', async () => {
    const { previews, loads, environment } = made();
    previews.setVisible('a', true);
    previews.follow('a', wish('a', '1'), () => {});
    environment.advance(1000);

    previews.follow('a', wish('a', '2'), () => {});
    assert.equal(loads.length, 1);

    loads[0].resolve('x');
    await settle();
    assert.equal(loads.length, 2);
});

test('many jobs share three requests at a time, and each has its turn', async () => {
    const { previews, loads, environment } = made();
    for (let number = 0; number < 10; number += 1) {
        previews.setVisible(`j${number}`, true);
        previews.follow(`j${number}`, wish(`j${number}`, '1'), () => {});
    }
    assert.equal(loads.length, 3);

    for (let turn = 0; turn < 10; turn += 1) {
        loads[turn].resolve('x');
        await settle();
        environment.advance(1);
    }

    assert.equal(new Set(loads.map(({ url }) => url)).size, 10);
});

test('what nobody sees is not asked for until somebody does', () => {
    const { previews, loads } = made();
    previews.follow('a', wish('a', '1'), () => {});
    assert.equal(loads.length, 0);

    previews.setVisible('a', true);
    assert.equal(loads.length, 1);

    previews.setVisible('a', false);
    previews.follow('a', wish('a', '2'), () => {});
    assert.equal(loads.length, 1);
});

test('where there is nothing to see it rests before it asks again', async () => {
    const { previews, loads, environment } = made();
    previews.setVisible('a', true);
    previews.follow('a', wish('a', '1'), () => assert.fail('there is nothing to show'));
    loads[0].resolve(null);
    await settle();

    previews.follow('a', wish('a', '2'), () => {});
    environment.advance(4999);
    assert.equal(loads.length, 1);

    environment.advance(1);
    assert.equal(loads.length, 2);
});

test('a line that is down stops nothing', async () => {
    const { previews, loads, environment } = made();
    previews.setVisible('a', true);
    previews.follow('a', wish('a', '1'), () => assert.fail('nothing came'));
    loads[0].reject(new TypeError('Failed to fetch'));
    await settle();

    previews.follow('a', wish('a', '2'), () => {});
    environment.advance(5000);

    assert.equal(loads.length, 2);
});

test('what comes for a job that was forgotten is not shown', async () => {
    const { previews, loads } = made();
    previews.setVisible('a', true);
    previews.follow('a', wish('a', '1'), () => assert.fail('it is gone'));

    previews.forget('a');
    loads[0].resolve('x');
    await settle();

    assert.equal(loads.length, 1);
});

test('of a hidden page nothing is asked for, and the newest once it is seen again', () => {
    const { previews, loads, environment } = made();
    previews.setVisible('a', true);
    previews.setShown(false);
    for (let step = 1; step <= 5; step += 1) {
        previews.follow('a', wish('a', String(step)), () => {});
        environment.advance(1000);
    }
    assert.equal(loads.length, 0);

    previews.setShown(true);
    assert.deepEqual(loads.map(({ url }) => url), ['/jobs/a/preview?at=5']);
});

test('what is no longer there when its turn comes is not asked for, and is again once it is back', async () => {
    const { previews, loads, environment } = made();
    let isThere = true;
    const follow = (version) =>
        previews.follow('a', { ...wish('a', version, 2000), isThere: () => isThere }, () => {});
    previews.setVisible('a', true);
    follow('1');
    loads[0].resolve('x');
    await settle();
    follow('2');

    isThere = false;
    environment.advance(10_000);
    assert.equal(loads.length, 1);

    isThere = true;
    follow('3');
    assert.deepEqual(loads.slice(1).map(({ url }) => url), ['/jobs/a/preview?at=3']);
});

test('only what runs has a preview, and what is shown on a canvas only while that is not dark', () => {
    const known = (changes, canvas = {}) =>
        ({ jobs: new Map([['a', job('a', changes)]]), canvases: [{ slug: 'left', ...canvas }] });

    assert.equal(hasPreview(known({ kind: 'live' }), 'a', true), true);
    assert.equal(hasPreview(known({ kind: 'live' }, { blank: true }), 'a', true), false);
    assert.equal(hasPreview(known({ kind: 'once' }, { blank: true }), 'a', false), true, 'it is painted all the same');
    assert.equal(hasPreview(known({ kind: 'live', state: 'cancelled' }), 'a', true), false);
    assert.equal(hasPreview(known({}), 'b', true), false);
});
