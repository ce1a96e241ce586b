import assert from 'node:assert/strict';
import test from 'node:test';

import { Decoder } from '../../../client/paint/decoder.js';
import { waysOf } from '../../../client/paint/decoders.js';
import { FakeBitmap, FakeEnvironment, settle } from '../fakes.js';

// What the samples are: the JPEG is to be turned upright.
const SIZES = {
    'image/jpeg': { width: 1, height: 2 },
    'image/png': { width: 1, height: 1 },
    'image/webp': { width: 1, height: 1 },
};

/** A way that knows some formats, and notes what it was asked for. */
function way(name, formats, sizes = SIZES) {
    const made = [];
    const decode = (image) => {
        if (!formats.includes(image.type.split('/')[1])) {
            return Promise.reject(new Error('The source image could not be decoded.'));
        }
        const bitmap = new FakeBitmap(name, sizes[image.type]);
        made.push(bitmap);
        return Promise.resolve(bitmap);
    };
    return { name, decode, made };
}

function setUp(...ways) {
    const environment = new FakeEnvironment();
    const counts = { created: 0, closed: 0 };
    const decoder = new Decoder(environment, (changed) => Object.assign(counts, changed), ways);
    return { environment, counts, decoder };
}

const ALL = ['jpeg', 'png', 'webp'];
const IMAGE = Uint8Array.of(1, 2, 3);

test('the first way that decodes a format is the one for it', async () => {
    const [first, second] = [way('first', ['jpeg', 'png']), way('second', ALL)];
    const { decoder } = setUp(first, second);

    assert.deepEqual(await decoder.formats(), ALL);

    assert.equal((await decoder.decode(IMAGE, 'jpeg')).name, 'first');
    assert.equal((await decoder.decode(IMAGE, 'webp')).name, 'second');
});

test('a format that no way decodes is not told', async () => {
    const { decoder } = setUp(way('only', ['jpeg', 'png']));

    assert.deepEqual(await decoder.formats(), ['jpeg', 'png']);
    assert.deepEqual(ALL.map((format) => decoder.canDecode(format)), [true, true, false]);
});

test('jpeg is told in any case, and that it does not work here, too', async () => {
    const { decoder } = setUp(way('none', []));

    assert.deepEqual(await decoder.formats(), ['jpeg']);
    assert.equal(decoder.canDecode('jpeg'), false);
});

test('a way that gives a sample of another size, or lying on its side, is not taken', async () => {
    const lying = way('lying', ALL, { ...SIZES, 'image/jpeg': { width: 2, height: 1 } });
    const { decoder, counts } = setUp(lying, way('upright', ALL));

    await decoder.formats();

    assert.equal((await decoder.decode(IMAGE, 'jpeg')).name, 'upright');
    assert.equal((await decoder.decode(IMAGE, 'png')).name, 'lying');
    assert.equal(counts.created - counts.closed, 2);
});

test('a way that never ends is given up after a second, and what it gives later is closed', async () => {
    const late = [];
    const hanging = { name: 'hanging', decode: () => new Promise((resolve) => late.push(resolve)) };
    const { environment, counts, decoder } = setUp(hanging, way('prompt', ALL));

    const formats = decoder.formats();
    await settle();
    environment.advance(1000);

    assert.deepEqual(await formats, ALL);
    assert.equal((await decoder.decode(IMAGE, 'jpeg')).name, 'prompt');
    const bitmap = new FakeBitmap('hanging', { width: 1, height: 2 });
    late[0](bitmap);
    await settle();
    assert.equal(bitmap.closed, 1);
    assert.deepEqual(counts, { created: 5, closed: 4 });
});

test('the probe leaves no bitmap and no timer', async () => {
    const only = way('only', ALL);
    const { environment, counts, decoder } = setUp(only);

    await decoder.formats();

    assert.deepEqual(only.made.map(({ closed }) => closed), [1, 1, 1]);
    assert.deepEqual(counts, { created: 3, closed: 3 });
    assert.equal(environment.timers.size, 0);
});

test('before the probe the usual way decodes', async () => {
    const { decoder } = setUp(way('usual', ALL), way('other', ALL));

    assert.equal((await decoder.decode(IMAGE, 'jpeg')).name, 'usual');
});

test('a browser without anything newer has one way, and it decodes', async () => {
    const environment = new FakeEnvironment();
    const ways = waysOf(environment, {});
    const decoder = new Decoder(environment, () => {}, ways);

    const decoding = decoder.decode(IMAGE, 'jpeg');
    await environment.finishDecode();

    assert.deepEqual(ways.map(({ name }) => name), ['bitmap']);
    assert.equal((await decoding).width, 512);
});

test('where createImageBitmap is missing the next way is found', async () => {
    const environment = new FakeEnvironment();
    environment.createImageBitmap = () => {
        throw new ReferenceError('createImageBitmap is not defined');
    };
    const { scope } = withElements();
    const decoder = new Decoder(environment, () => {}, waysOf(environment, scope));

    assert.deepEqual(await decoder.formats(), ALL);

    const picture = await decoder.decode(IMAGE, 'jpeg');
    assert.equal(picture.source.name, 'element');
});

/** A page whose elements decode, and which notes addresses that are in use. */
function withElements({ isCorrupt = false } = {}) {
    const addresses = new Map();
    class Image {
        name = 'element';
        src = '';

        decode() {
            const image = addresses.get(this.src);
            Object.assign(this, { naturalWidth: SIZES[image.type].width, naturalHeight: SIZES[image.type].height });
            return isCorrupt ? Promise.reject(new Error('EncodingError')) : Promise.resolve();
        }
    }
    const URL = {
        createObjectURL: (image) => {
            const address = `blob:${addresses.size + 1}`;
            addresses.set(address, image);
            return address;
        },
        revokeObjectURL: (address) => addresses.delete(address),
    };
    return { scope: { document: {}, Image, URL }, addresses };
}

test('an element is freed with its picture, and when it cannot be decoded', async () => {
    for (const isCorrupt of [false, true]) {
        const { scope, addresses } = withElements({ isCorrupt });
        const element = waysOf(new FakeEnvironment(), scope).at(-1);
        const image = new Blob([IMAGE], { type: 'image/jpeg' });
        if (isCorrupt) {
            await assert.rejects(element.decode(image), /EncodingError/);
        } else {
            const picture = await element.decode(image);
            assert.deepEqual([picture.width, picture.height, addresses.size], [1, 2, 1]);
            picture.close();
            assert.equal(picture.source.src, '');
        }
        assert.equal(addresses.size, 0);
    }
});

test('a worker never decodes with elements', () => {
    const names = waysOf(new FakeEnvironment(), { Image: class {} }).map(({ name }) => name);

    assert.deepEqual(names, ['bitmap']);
});

test('the image decoder closes itself, and its frame with the picture', async () => {
    const closed = [];
    class ImageDecoder {
        constructor({ data, type }) {
            this.told = [data.byteLength, type];
        }

        decode() {
            assert.deepEqual(this.told, [3, 'image/png']);
            const image = { displayWidth: 7, displayHeight: 5, close: () => closed.push('frame') };
            return Promise.resolve({ image, complete: true });
        }

        close() {
            closed.push('decoder');
        }
    }
    const [, coder] = waysOf(new FakeEnvironment(), { ImageDecoder });

    const picture = await coder.decode(new Blob([IMAGE], { type: 'image/png' }));

    assert.deepEqual([picture.width, picture.height, closed], [7, 5, ['decoder']]);
    picture.close();
    assert.deepEqual(closed, ['decoder', 'frame']);
});

test('an image that the browser is never done with is given up, and closed if it comes after all', async () => {
    const environment = new FakeEnvironment();
    const counts = { created: 0, closed: 0 };
    const decoder = new Decoder(environment, (changed) => Object.assign(counts, changed));
    const decoding = decoder.decode(IMAGE, 'jpeg');

    environment.advance(15_000);

    await assert.rejects(decoding, /not decoded after 15000 ms/);
    const bitmap = await environment.finishDecode();
    assert.equal(bitmap.closed, 1);
    assert.deepEqual(counts, { created: 1, closed: 1 });
});

test('an image that is decoded in time leaves no timer, nor does a corrupt one', async () => {
    const environment = new FakeEnvironment();
    const decoder = new Decoder(environment);
    const decoding = [decoder.decode(IMAGE, 'jpeg'), decoder.decode(IMAGE, 'jpeg')];

    await environment.finishDecode();
    await environment.failDecode().catch(() => {});

    await decoding[0];
    await assert.rejects(decoding[1]);
    assert.equal(environment.timers.size, 0);
});
