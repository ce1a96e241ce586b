import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Feed } from '../../../client/studio/feed.js';
import { Store } from '../../../client/studio/store.js';
import { FakeEnvironment, settle } from '../fakes.js';
import { job, model } from './fakes.js';

const canvas = (slug) => ({ slug, width: 512, height: 512 });

function made({ isVisible = true } = {}) {
    const environment = new FakeEnvironment();
    const store = new Store(environment.nowMs);
    const asked = [];
    const answers = new Map([
        ['/jobs?limit=100', { jobs: [] }],
        ['/jobs?state=running&limit=1000', { jobs: [] }],
        ['/jobs?state=queued&limit=1000', { jobs: [] }],
        ['/login', { needs_token: false, authorised: true }],
        ['/models', { models: [model('m')], default: 'm', device: 'cpu' }],
        ['/styles', { styles: [{ name: 's' }], templates: [] }],
        ['/state?subscribers=0', { server_time_ms: 0, canvases: {}, inference: { serving: true } }],
    ]);
    const page = { isVisible };
    const api = {
        get: async (path) => {
            asked.push(path);
            const answer = answers.get(path);
            await null;
            if (answer === undefined || answer instanceof Error) {
                throw answer ?? new Error(`nobody answers ${path}`);
            }
            return answer;
        },
    };
    const gate = undefined;
    const feed = new Feed({ store, api, environment, gate, url: 'ws://h/ws', isVisible: () => page.isVisible });
    const count = (path) => asked.filter((one) => one === path).length;
    return { environment, store, asked, answers, page, feed, count };
}

async function opened(options) {
    const all = made(options);
    all.feed.open();
    all.environment.socket.accept();
    await settle();
    return all;
}

/** Let seconds pass in which the server says that it is there. */
async function pass({ environment }, seconds) {
    for (let second = 0; second < seconds; second += 1) {
        environment.advance(1000);
        environment.socket.push(JSON.stringify({ type: 'pong' }));
        await settle();
    }
}

const tell = ({ environment }, event) => environment.socket.push(JSON.stringify(event));

test('it subscribes first and asks for the list then', async () => {
    const { environment, asked, store } = await opened();

    assert.deepEqual(JSON.parse(environment.socket.sent[0]), { type: 'subscribe', events: ['canvases', 'jobs'] });
    assert.ok(asked.includes('/jobs?limit=100'));
    assert.equal(store.connection, 'up');
    assert.equal(store.defaultModel, 'm');
});

test('events change the store, and what is no event of ours does not', async () => {
    const all = await opened();
    const { store } = all;

    tell(all, { type: 'canvases', canvases: [canvas('left')] });
    tell(all, { type: 'job', job: job('a', { step: 2 }) });
    tell(all, { type: 'job' });
    tell(all, { type: 'canvases', canvases: 'none' });

    assert.deepEqual(store.canvases.map(({ slug }) => slug), ['left']);
    assert.equal(store.jobs.get('a').step, 2);
    assert.equal(store.jobs.size, 1);
});

test('a connection that comes back asks for everything again', async () => {
    const all = await opened();
    const { environment, store, count } = all;
    tell(all, { type: 'job', job: job('old') });

    environment.socket.drop(1006);
    assert.equal(store.connection, 'down');
    environment.advance(10_000);
    environment.socket.accept();
    await settle();

    assert.equal(store.connection, 'up');
    assert.equal(count('/jobs?limit=100'), 2);
    assert.equal(count('/login'), 2);
    assert.equal(store.jobs.size, 0);
});

test('while the server is away nobody is asked', async () => {
    const { environment, asked } = await opened();
    environment.socket.drop(1006);
    asked.length = 0;

    environment.advance(200);
    await settle();
    environment.timers.forEach(({ callback, delayMs }) => delayMs > 1000 && callback());
    await settle();

    assert.deepEqual(asked, []);
});

test('figures are asked for every two seconds while somebody looks', async () => {
    const { environment, page, feed, count } = await opened();
    const figures = () => count('/state?subscribers=0');
    for (let turn = 0; turn < 3; turn += 1) {
        environment.advance(2000);
        await settle();
    }
    assert.equal(figures(), 4);

    page.isVisible = false;
    environment.advance(2000);
    await settle();
    environment.advance(9000);
    await settle();
    assert.equal(figures(), 4);

    page.isVisible = true;
    feed.wake();
    await settle();
    assert.equal(figures(), 5);
});

test('a service that is away is told, and asked again soon', async () => {
    const all = made();
    all.answers.set('/models', new Error('the inference service does not serve yet'));
    all.feed.open();
    all.environment.socket.accept();
    await settle();
    assert.equal(all.store.offersProblem.message, 'the inference service does not serve yet');

    all.answers.set('/models', { models: [model('m')], default: 'm' });
    all.environment.advance(3000);
    await settle();

    assert.equal(all.store.offersProblem, null);
    assert.equal(all.store.model('').name, 'm');
});

test('a list of jobs that does not come is asked for again', async () => {
    const all = made();
    all.answers.delete('/jobs?limit=100');
    all.feed.open();
    all.environment.socket.accept();
    await settle();

    all.answers.set('/jobs?limit=100', { jobs: [job('a')] });
    all.environment.advance(3000);
    await settle();

    assert.deepEqual([...all.store.jobs.keys()], ['a']);
});

test('a page that comes later knows what runs and waits, behind a hundred that ended', async () => {
    const all = made();
    const ended = Array.from({ length: 100 }, (_, number) =>
        job(`ended-${number}`, { state: 'succeeded', created_ms: 5000 - number }));
    all.answers.set('/jobs?limit=100', { jobs: ended });
    all.answers.set('/jobs?state=running&limit=1000', { jobs: [job('live', { created_ms: 1 })] });
    all.answers.set('/jobs?state=queued&limit=1000', { jobs: [job('next', { state: 'queued', created_ms: 2 })] });
    assert.equal(all.store.isListed, false);

    all.feed.open();
    all.environment.socket.accept();
    await settle();

    assert.equal(all.store.isListed, true);
    assert.equal(all.store.jobs.size, 102);
    assert.equal(all.store.jobs.get('live').state, 'running');
    assert.equal(all.store.jobs.get('next').state, 'queued');
});

test('a connection that the server wants no more is told as ended', async () => {
    const { environment, store } = await opened();

    environment.socket.drop(1008);

    assert.equal(store.connection, 'ended');
});

test('what is answered about a canvas counts at once, unless it is another one by now', async () => {
    const store = new Store(() => 0);
    store.setCanvases([{ ...canvas('left'), epoch: 'e1' }, { ...canvas('right'), epoch: 'e2' }]);
    let told = 0;
    store.addEventListener('canvases', () => {
        told += 1;
    });

    const change = ({ ...answer }) => store.changeCanvas(answer.slug, () => Promise.resolve({ canvas: answer }));
    await change({ ...canvas('left'), epoch: 'e1', blank: true });
    await change({ ...canvas('right'), epoch: 'older', blank: true });
    await change({ ...canvas('gone'), epoch: 'e3' });

    assert.deepEqual(store.canvases.map(({ slug, blank }) => [slug, blank]), [['left', true], ['right', undefined]]);
    assert.equal(told, 1);
});

test('what was told of a canvas meanwhile is newer than the answer, what was told of others is not', async () => {
    const store = new Store(() => 0);
    const [left, right] = [{ ...canvas('left'), epoch: 'e1' }, { ...canvas('right'), epoch: 'e2' }];
    store.setCanvases([left, right]);
    const answers = [];
    const ask = () => new Promise((resolve) => { answers.push(resolve); });
    const changing = [store.changeCanvas('left', ask), store.changeCanvas('right', ask)];

    store.setCanvases([{ ...left, paused: true, blank: true }, { ...right }]);
    answers[0]({ canvas: { ...left, blank: true } });
    answers[1]({ canvas: { ...right, blank: true } });

    assert.deepEqual((await Promise.all(changing)).map(({ paused, blank }) => [paused === true, blank]), [
        [true, true], [false, true],
    ]);
    assert.deepEqual(store.canvases.map(({ blank }) => blank), [true, true]);
    assert.equal(store.canvases[0].paused, true);
});

test('what the page may do is the same until something new is told of it', () => {
    const store = new Store(() => 0);
    store.setAccess({ needsToken: true, isAuthorised: false });
    const { access } = store;

    store.setAccess({ needsToken: true, isAuthorised: false });

    assert.equal(store.access, access, 'who asks twice at once is not overtaken by himself');
});

test('a login and a logout are told; what the page may do anyway is not told as one', () => {
    const store = new Store(() => 0);
    const told = [];
    for (const type of ['access', 'authorised']) {
        store.addEventListener(type, () => told.push(type));
    }

    store.setAccess({ needsToken: true, isAuthorised: false });
    store.setAccess({ needsToken: true, isAuthorised: false });
    assert.deepEqual(told, ['access']);
    store.setAccess({ needsToken: true, isAuthorised: true });
    assert.deepEqual(told, ['access', 'access', 'authorised']);
});

test('more jobs are asked for by a higher limit, up to the most that the server gives', async () => {
    const { feed, store, answers, count } = await opened();
    for (let limit = 200; limit <= 1000; limit += 100) {
        answers.set(`/jobs?limit=${limit}`, { jobs: [] });
        await feed.more();
    }
    await feed.more();

    assert.equal(store.jobLimit, 1000);
    assert.equal(count('/jobs?limit=1000'), 1);
});

test('a closed feed does nothing any more', async () => {
    const { environment, feed, asked } = await opened();
    asked.length = 0;

    feed.close();
    environment.advance(60_000);
    await settle();

    assert.deepEqual(asked, []);
    assert.equal(environment.sockets.length, 1);
});

test('the clock of the server is known from its figures', () => {
    const environment = new FakeEnvironment();
    const store = new Store(environment.nowMs);
    const askedMs = environment.nowMs();
    environment.advance(40);

    store.setState({ server_time_ms: 5_000_020, canvases: { left: { fps_out: 4 } } }, askedMs);

    assert.equal(store.serverNowMs(), 5_000_040);
    const slowMs = environment.nowMs();
    environment.advance(3000);
    store.setState({ server_time_ms: 5_002_000, canvases: { left: { fps_out: 4 } } }, slowMs);
    assert.equal(store.serverNowMs(), 5_003_040, 'a slow answer tells the clock worse than a quick one');
    assert.equal(store.traffic.get('left').fps_out, 4);
});

test('a canvas that is away for a moment comes back selected, and stays chosen meanwhile', () => {
    const store = new Store(() => 0);
    store.setCanvases([canvas('left'), canvas('right')]);
    store.selectOnly(['left', 'right']);
    const { chosen } = store;

    store.setCanvases([canvas('left')]);
    assert.deepEqual([...store.selection], ['left']);
    assert.equal(store.chosen, chosen);

    store.setCanvases([canvas('left'), canvas('right')]);
    assert.deepEqual([...store.selection], ['left', 'right']);
});

test('a canvas that goes leaves the selection; what is not there cannot be selected', () => {
    const store = new Store(() => 0);
    let told = 0;
    store.addEventListener('selection', () => {
        told += 1;
    });
    store.setCanvases([canvas('left'), canvas('right')]);
    store.selectOnly(['right', 'left', 'nowhere']);
    assert.deepEqual([...store.selection], ['left', 'right']);

    store.setCanvases([canvas('right')]);
    assert.deepEqual([...store.selection], ['right']);

    store.select('right', false);
    assert.deepEqual([...store.selection], []);
    assert.equal(told, 3);

    store.setCanvases([canvas('left'), canvas('right')]);
    assert.deepEqual([...store.selection], ['left'], 'it was away for a moment only');
});

test('a model is found by its name, by an alias, and by no name at all', () => {
    const store = new Store(() => 0);
    store.setOffers({
        models: [model('one', { aliases: ['first'] }), model('two')], defaultModel: 'two', styles: [], templates: [],
    });

    assert.equal(store.model('first').name, 'one');
    assert.equal(store.model('').name, 'two');
    assert.equal(store.model('three'), null);
});

async function openedWithoutService() {
    const all = made();
    all.answers.set('/models', new Error('the inference service is unavailable'));
    all.answers.set('/state?subscribers=0', { inference: { serving: false } });
    all.environment.randomValue = 0.99;
    all.feed.open();
    all.environment.socket.accept();
    await settle();
    return all;
}

test('while nothing is on offer the pauses grow, up to half a minute', async () => {
    const all = await openedWithoutService();

    await pass(all, 600);

    assert.ok(all.count('/models') >= 600 / 30, `${all.count('/models')} times`);
    assert.ok(all.count('/models') <= 26, `${all.count('/models')} times`);
});

test('as soon as the service is told to serve, what it offers is asked for', async () => {
    const all = await openedWithoutService();
    await pass(all, 60);

    all.answers.set('/models', { models: [model('m')], default: 'm' });
    all.answers.set('/state?subscribers=0', { inference: { serving: true } });
    all.environment.advance(2000);
    await settle();

    assert.equal(all.store.offersProblem, null);
});

test('a service that serves and refuses all the same is not hurried again and again', async () => {
    const all = made();
    all.answers.set('/models', new Error('no models'));
    all.environment.randomValue = 0.99;
    all.feed.open();
    all.environment.socket.accept();
    await settle();

    await pass(all, 120);

    assert.ok(all.count('/models') <= 11, `${all.count('/models')} times`);
});

test('a logout in another tab is noticed when the page is looked at again', async () => {
    const { feed, store, answers, count } = await opened();
    assert.equal(store.isLocked, false);

    answers.set('/login', { needs_token: true, authorised: false });
    feed.wake();
    await settle();
    assert.equal(store.isLocked, true);

    answers.set('/login', { needs_token: true, authorised: true });
    feed.askAccess();
    await settle();
    assert.equal(store.isLocked, false);
    assert.equal(count('/login'), 3);
});

test('an answer that was overtaken by a login does not lock the page again', async () => {
    const { feed, store, answers } = await opened();
    answers.set('/login', { needs_token: true, authorised: false });

    feed.askAccess();
    store.setAccess({ needsToken: true, isAuthorised: true });
    answers.set('/login', { needs_token: true, authorised: true });
    await settle();

    assert.equal(store.isLocked, false);
});
