import assert from 'node:assert/strict';
import test from 'node:test';

import { Projector } from '../../../client/paint/projector.js';
import { FakeEnvironment, HELLO, frame } from '../fakes.js';
import { FakeCanvas, PLAIN, hungWhole, plain } from './fakes.js';

const RED = [255, 0, 0];
const BLUE = [0, 0, 255];
const GREEN = [0, 255, 0];
const BLACK = [0, 0, 0];
const FADE = { kind: 'cross-fade', duration_s: 0.5 };
const SIZE = { width: 8, height: 8 };

function setUp({ transition = FADE, options = {}, fps = 4 } = {}) {
    FakeCanvas.made = [];
    const environment = new FakeEnvironment();
    const canvas = new FakeCanvas(1, 1);
    const projector = new Projector(canvas, { ...PLAIN, ...options }, environment);
    projector.hang(hungWhole(8, 8));
    projector.greet({ ...HELLO, canvas: { ...HELLO.canvas, transition, fps } });
    projector.follow({ type: 'status', state: 'idle', job: null, transition });
    const context = canvas.getContext();
    let sequence = 0;
    /** Show a picture of one colour, which its owner frees at once. */
    const show = (colour, fields = {}) => {
        sequence += 1;
        const picture = plain(colour, SIZE);
        projector.draw(picture, frame(sequence, fields));
        picture.colour = [99, 99, 99, 1];
    };
    /** Let time pass with an animation frame every 50 ms. */
    const pass = (ms) => {
        for (let passed = 0; passed < ms; passed += 50) {
            environment.elapsedMs += 50;
            environment.paint();
        }
    };
    const colour = () => context.at(4, 4).slice(0, 3).map(Math.round);
    const layers = () => FakeCanvas.made.slice(1).filter(({ width }) => width > 0);
    return { environment, canvas, projector, context, show, pass, colour, layers };
}

const isBetween = ([red, green, blue]) => red > 2 && blue > 2 && green < 30;

/** Two pictures that rest for a while, so that the third one is in no hurry. */
function rest({ show, pass }) {
    show(RED);
    pass(2000);
}

test('a picture turns into the next one, and ends exactly as it is', () => {
    const scene = setUp();
    rest(scene);

    scene.show(BLUE);
    const [first] = scene.colour();
    scene.pass(250);
    const [red, , blue] = scene.colour();
    scene.pass(300);

    assert.ok(first < 255 && first > 240, 'some of the new picture is seen at once');
    assert.ok(Math.abs(red - blue) < 60, `${red} and ${blue} in the middle`);
    assert.deepEqual(scene.colour(), BLUE);
});

test('after a transition nothing is left of it: no copies, no animation frames', () => {
    const scene = setUp();
    rest(scene);

    scene.show(BLUE);
    assert.equal(scene.layers().length, 2);
    assert.equal(scene.environment.frames.length, 1);
    scene.pass(600);

    assert.equal(scene.layers().length, 0);
    assert.equal(scene.environment.frames.length, 0);
});

test('a slow machine skips steps and takes no longer', () => {
    const scene = setUp();
    rest(scene);

    scene.show(BLUE);
    scene.environment.elapsedMs += 700;
    scene.environment.paint();

    assert.deepEqual(scene.colour(), BLUE);
    assert.equal(scene.environment.frames.length, 0);
});

test('the first picture, and every one of a canvas that cuts, is there at once', () => {
    const first = setUp();
    first.show(RED);
    assert.deepEqual(first.colour(), RED);

    for (const transition of [null, { kind: 'cut', duration_s: 3 }, { kind: 'unheard-of', duration_s: 1 }]) {
        const scene = setUp({ transition });
        rest(scene);
        scene.show(BLUE);
        assert.deepEqual(scene.colour(), BLUE);
        assert.deepEqual([scene.layers().length, scene.environment.frames.length], [0, 0]);
    }
});

test('who asked for less motion gets cuts', () => {
    const scene = setUp({ options: { isStill: true } });
    rest(scene);

    scene.show(BLUE);

    assert.deepEqual(scene.colour(), BLUE);
});

test('where the next picture is due sooner there is no transition', () => {
    const scene = setUp({ transition: { kind: 'wipe', duration_s: 1 } });

    for (const colour of [RED, BLUE, GREEN, RED, BLUE]) {
        scene.show(colour);
        assert.deepEqual(scene.colour(), colour);
        scene.pass(250);
    }
});

test('where pictures are planned to come sooner there is none before anything was measured', () => {
    const scene = setUp();
    scene.projector.follow({ state: 'painting', job: { kind: 'live', parameters: { fps: 4 } } });
    rest(scene);

    scene.show(BLUE);

    assert.deepEqual(scene.colour(), BLUE);
});

test('a picture in mid-transition goes on from what is seen then', () => {
    const scene = setUp();
    rest(scene);
    scene.show(BLUE);
    scene.pass(2000);
    scene.show(RED);
    scene.pass(2000);
    scene.show(BLUE);
    scene.pass(250);
    const [red, , blue] = scene.colour();

    scene.show(GREEN);
    const seen = scene.colour();
    const isGoingOn = Math.abs(seen[0] - red) < 10 && Math.abs(seen[2] - blue) < 10 && seen[1] > 0;
    assert.ok(isGoingOn, `${seen} from ${red}, ${blue}`);
    assert.equal(scene.layers().length, 2, 'the same copies serve');
    assert.equal(scene.environment.frames.length, 1, 'one animation frame at a time');
    scene.pass(600);

    assert.deepEqual(scene.colour(), GREEN);
    assert.deepEqual([scene.layers().length, scene.environment.frames.length], [0, 0]);
});

test('a picture that cuts into a transition ends it', () => {
    const scene = setUp();
    rest(scene);
    scene.show(BLUE);
    scene.pass(100);

    scene.show(GREEN);

    assert.deepEqual(scene.colour(), GREEN, 'its pause is shorter than the transition');
    scene.pass(600);
    assert.deepEqual(scene.colour(), GREEN);
    assert.equal(scene.layers().length, 0);
});

test('the same picture in a better tier is no other picture', () => {
    const scene = setUp();
    rest(scene);
    scene.projector.draw(plain(GREEN, SIZE), frame(1, { tier: 'better' }));
    assert.deepEqual(scene.colour(), GREEN);

    scene.show(BLUE);
    scene.pass(250);
    scene.projector.draw(plain([0, 0, 200], SIZE), frame(2, { tier: 'better' }));
    assert.ok(scene.colour()[1] > 60, 'the transition goes on');
    scene.pass(300);
    assert.deepEqual(scene.colour(), [0, 0, 200]);
});

test('another incarnation of the canvas may number its pictures alike', () => {
    const scene = setUp();
    rest(scene);
    scene.projector.greet({ ...HELLO, epoch: 'second', canvas: { ...HELLO.canvas, transition: FADE } });

    scene.projector.draw(plain(BLUE, SIZE), frame(1));

    assert.ok(isBetween(scene.colour()));
});

test('a page that is hidden ends a transition, and whoever returns waits for none', () => {
    const scene = setUp();
    rest(scene);
    scene.show(BLUE);
    scene.pass(100);

    scene.projector.setVisible(false);
    assert.deepEqual(scene.colour(), BLUE);
    assert.equal(scene.layers().length, 0);
    scene.environment.paint();
    assert.equal(scene.environment.frames.length, 0);
    scene.projector.setVisible(true);
    scene.show(RED);
    assert.deepEqual(scene.colour(), RED);

    scene.pass(2000);
    scene.show(BLUE);
    assert.ok(isBetween(scene.colour()), 'from then on as before');
});

test('the pause in which nobody looked is no pace to go by', () => {
    const scene = setUp();
    scene.show(RED);
    scene.pass(100);
    scene.projector.setVisible(false);
    scene.projector.setVisible(true);
    scene.show(BLUE);
    scene.pass(2000);

    scene.show(RED);

    assert.ok(isBetween(scene.colour()));
});

test('a picture that returns from a blackout is there at once', () => {
    const scene = setUp();
    rest(scene);
    scene.projector.follow({ state: 'blank', job: null, transition: FADE });
    scene.show(BLACK);
    assert.deepEqual(scene.colour(), BLACK);
    scene.pass(2000);
    scene.projector.follow({ state: 'idle', job: null, transition: FADE });

    scene.show(BLUE);
    assert.deepEqual(scene.colour(), BLUE);

    scene.pass(2000);
    scene.show(RED);
    assert.ok(isBetween(scene.colour()), 'from then on as before');
});

test('what an effect needs for itself is freed with the rest of its transition', () => {
    const scene = setUp({ transition: { kind: 'dissolve', duration_s: 0.5 } });
    rest(scene);

    scene.show(BLUE);
    assert.equal(scene.layers().length, 3);
    scene.projector.draw(plain([0, 0, 200], SIZE), frame(2, { tier: 'better' }));
    assert.equal(scene.layers().length, 3, 'a better tier goes on with what there is');
    scene.pass(600);
    assert.equal(scene.layers().length, 0);

    scene.pass(2000);
    scene.show(RED);
    scene.pass(2000);
    scene.show(BLUE);
    scene.pass(100);
    scene.show(GREEN);
    assert.equal(scene.layers().length, 3, 'so does another picture');
    scene.projector.close();
    assert.equal(scene.layers().length, 0);
});

test('a transition whose duration is none cuts', () => {
    for (const duration_s of [undefined, null, 'soon', -1, NaN]) {
        const scene = setUp({ transition: { kind: 'cross-fade', duration_s } });
        rest(scene);
        scene.show(BLUE);
        assert.deepEqual(scene.colour(), BLUE, String(duration_s));
    }
});

test('a canvas that has lost its pixels turns nothing into the next picture', () => {
    const scene = setUp();
    rest(scene);
    scene.show(BLUE);
    scene.pass(100);

    scene.projector.forget();
    assert.equal(scene.layers().length, 0);
    scene.pass(2000);
    scene.show(RED);

    assert.deepEqual(scene.colour(), RED);
});

test('at another size a picture is there at once', () => {
    const scene = setUp();
    rest(scene);
    scene.show(BLUE);
    scene.pass(100);

    scene.projector.hang(hungWhole(6, 6));
    scene.pass(50);
    assert.equal(scene.canvas.width, 8, 'the transition goes on until there is a picture to draw');
    scene.projector.draw(plain(BLUE, SIZE), frame(2));

    assert.equal(scene.canvas.width, 6);
    assert.deepEqual(scene.colour(), BLUE);
    assert.equal(scene.layers().length, 0);
});

test('a transition that is set while the canvas runs is used for the next picture', () => {
    const scene = setUp({ transition: { kind: 'cut', duration_s: 0 } });
    rest(scene);

    scene.projector.follow({ state: 'idle', job: null, transition: FADE });
    scene.show(BLUE);

    assert.ok(isBetween(scene.colour()));
});

test('a canvas without an area takes pictures, too', () => {
    const scene = setUp();
    rest(scene);
    scene.projector.hang(hungWhole(0, 8));

    scene.show(BLUE);
    scene.pass(2000);
    scene.show(RED);

    assert.deepEqual([scene.canvas.width, scene.layers().length], [0, 0]);
});

test('without memory for the copies a picture is there at once', () => {
    const scene = setUp();
    rest(scene);
    FakeCanvas.isOutOfMemory = true;
    try {
        scene.show(BLUE);
    } finally {
        FakeCanvas.isOutOfMemory = false;
    }

    assert.deepEqual(scene.colour(), BLUE);
});

test('on a page the copies are elements', () => {
    const scene = setUp();
    const created = [];
    scene.canvas.ownerDocument = {
        createElement: (name) => {
            created.push(name);
            return new FakeCanvas(0, 0);
        },
    };
    rest(scene);

    scene.show(BLUE);

    assert.deepEqual(created, ['canvas', 'canvas']);
    assert.ok(isBetween(scene.colour()));
});

test('a closed projector leaves nothing behind', () => {
    const scene = setUp();
    rest(scene);
    scene.show(BLUE);

    scene.projector.close();
    scene.environment.paint();

    assert.deepEqual([scene.layers().length, scene.environment.frames.length], [0, 0]);
});
