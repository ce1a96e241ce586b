import assert from 'node:assert/strict';
import test, { afterEach, beforeEach } from 'node:test';

import { Host } from '../../../client/screen/host.js';
import { openScreens } from '../../../client/screen/screens.js';
import { FakeEnvironment, settle } from '../fakes.js';
import { pass } from '../stream/fakes.js';
import { FakeCanvas, FakeWorker, OPTIONS, decodeSamples } from './fakes.js';

beforeEach(() => {
    globalThis.OffscreenCanvas = FakeCanvas;
});

afterEach(() => {
    delete globalThis.OffscreenCanvas;
});

/** What a page gives: a worker that answers, unless told otherwise, and a tab that remembers. */
class FakePage {
    environment = new FakeEnvironment();
    dataset = {};
    workers = [];
    remembered = new Map();
    reloads = 0;
    returns = [];
    probes = 0;
    /** 'able', 'silent' or 'missing'. */
    kind = 'able';

    startWorker = () => {
        if (this.kind === 'missing') {
            throw new ReferenceError('Worker is not defined');
        }
        const worker = new FakeWorker();
        worker.inside = new FakeEnvironment();
        this.workers.push(worker);
        if (this.kind === 'able') {
            new Host(worker.scope, worker.inside);
        }
        return worker;
    };

    isServerUp = true;

    probe = () => {
        this.probes += 1;
        return Promise.resolve(this.isServerUp);
    };

    watchReturn = (onReturn) => this.returns.push(onReturn);

    tab = {
        storage: () => ({
            getItem: (key) => this.remembered.get(key) ?? null,
            setItem: (key, value) => this.remembered.set(key, value),
        }),
        reload: () => {
            this.reloads += 1;
        },
    };

    /** Open screens, having decoded what has to be decoded for that. */
    async open(wishes = {}) {
        const opening = openScreens(wishes, this);
        await settle();
        for (const worker of this.workers) {
            await worker.deliver();
            await decodeSamples(worker.inside);
            await worker.deliver();
        }
        if (this.kind === 'silent') {
            this.environment.advance(wishes.pipeline === 'worker' ? 10_000 : 2000);
            await settle();
        }
        await decodeSamples(this.environment);
        return opening;
    }
}

test('where a worker can, all screens of a page are in one', async () => {
    const page = new FakePage();

    const screens = await page.open();
    const canvases = [new FakeCanvas(), new FakeCanvas()];
    canvases.forEach((canvas) => screens.create(canvas, OPTIONS, {}));

    assert.equal(page.workers.length, 1);
    assert.equal(screens.pipeline, 'worker');
    assert.equal(page.dataset.pipeline, 'worker');
    assert.deepEqual(canvases.map(({ isGiven }) => isGiven), [true, true]);
});

for (const kind of ['missing', 'silent']) {
    for (const pipeline of [null, 'worker']) {
        test(`the page makes its pictures itself where the worker is ${kind}, asked for ${pipeline}`, async () => {
            const page = new FakePage();
            page.kind = kind;

            const screens = await page.open({ pipeline });
            const canvas = new FakeCanvas();
            screens.create(canvas, OPTIONS, {}).open();

            assert.equal(page.dataset.pipeline, 'main');
            assert.equal(canvas.isGiven, false);
            assert.equal(page.environment.sockets.length, 1);
            assert.ok(page.workers.every(({ isEnded }) => isEnded));
            assert.equal(page.dataset.bitmapsCreated, page.dataset.bitmapsClosed);
        });
    }
}

test('a page waits longer for a worker that was asked for by name', async () => {
    const page = new FakePage();
    page.kind = 'silent';
    void openScreens({ pipeline: 'worker' }, page);

    page.environment.advance(9999);
    await settle();
    assert.equal(page.workers[0].isEnded, false);
    page.environment.advance(1);
    await settle();

    assert.equal(page.workers[0].isEnded, true);
});

test('a worker is not even started where the page’s own thread is asked for', async () => {
    const page = new FakePage();

    const screens = await page.open({ pipeline: 'main' });

    assert.equal(screens.pipeline, 'main');
    assert.deepEqual(page.workers, []);
});

test('bitmaps are counted on the page wherever they are made', async () => {
    const page = new FakePage();
    await page.open();
    const [worker] = page.workers;
    worker.inside.advance(200);
    await worker.deliver();

    assert.deepEqual([page.dataset.bitmapsCreated, page.dataset.bitmapsClosed], ['3', '3']);
});

test('a page that has lost its worker is loaded anew once, and does without from then on', async () => {
    const page = new FakePage();
    await page.open();
    await pass(page.environment, 42_000);
    assert.equal(page.reloads, 1);
    assert.equal(page.dataset.pipeline, 'lost');

    const again = new FakePage();
    again.remembered = page.remembered;
    const screens = await again.open({ pipeline: 'worker' });
    await pass(again.environment, 600_000);

    assert.equal(screens.pipeline, 'main');
    assert.deepEqual(again.workers, []);
    assert.equal(again.reloads, 0);
});

test('a page that has lost its worker stays while its server is away, and is loaded anew once it is back', async () => {
    const page = new FakePage();
    page.isServerUp = false;
    await page.open();

    await pass(page.environment, 100_000);
    assert.deepEqual([page.reloads, page.dataset.pipeline], [0, 'lost']);
    assert.ok(page.probes > 5, 'it asks');
    page.isServerUp = true;
    await pass(page.environment, 5000);

    assert.equal(page.reloads, 1);
});

test('a tab that remembers nothing has its worker all the same, and is not loaded again and again', async () => {
    const page = new FakePage();
    page.tab.storage = () => {
        throw new Error('SecurityError');
    };

    const screens = await page.open();
    await pass(page.environment, 60_000);

    assert.equal(screens.pipeline, 'worker');
    assert.equal(page.reloads, 0);
    assert.equal(page.dataset.pipeline, 'lost');
});

test('a network that returns hurries the page’s gate', async () => {
    const page = new FakePage();
    const { gate } = await page.open({ pipeline: 'main' });
    const entrance = gate.join(() => {});
    page.environment.random = () => 0.999;
    entrance.lost();
    entrance.ask();
    assert.equal(page.probes, 0);

    page.returns.forEach((onReturn) => onReturn());

    assert.equal(page.probes, 1);
});
