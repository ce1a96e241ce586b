/** One canvas on the stage: what the screen tells goes to the model, and what that gives goes to the page. */

import { browser } from '../stream/environment.js';
import { Hud } from './hud.js';
import { Shape } from './layout.js';
import { Model } from './model.js';
import { RateTold, rateText } from './rate.js';
import { Refresher } from './refresher.js';

/** @typedef {import('../screen/screen.js').ScreenEvents} ScreenEvents */

export class Stage {
    #root;
    #canvas;
    #model;
    #refresher;
    #rate;
    #shape;
    #painted = 0;
    #fps = 0;
    #hasRate = true;

    /**
     * @param {string} slug
     * @param {HTMLElement} root
     * @param {HTMLCanvasElement} canvas
     * @param {{ words: import('./texts.js').Words, caption: string }} wording
     */
    constructor(slug, root, canvas, { words, caption }) {
        this.#root = root;
        this.#canvas = canvas;
        const model = new Model(slug, words, browser.nowMs());
        const hud = new Hud(root, words, caption, {
            nextFrame: (callback) => requestAnimationFrame(callback),
            serverMs: () => model.serverMs(browser.nowMs()),
        });
        const tellRate = () => {
            hud.showRate(this.#hasRate ? rateText(this.#fps, words.fps) : '');
        };
        this.#model = model;
        this.#refresher = new Refresher(browser, () => {
            const view = model.view(browser.nowMs());
            hud.show(view);
            this.#hasRate = view.hasRate;
            tellRate();
            return view.changesInMs;
        });
        this.#rate = new RateTold(browser, (fps) => {
            this.#fps = fps;
            tellRate();
        });
        this.#shape = new Shape(browser, (aspect) => root.style.setProperty('--aspect', aspect.toFixed(4)));
        this.refresh();
    }

    /** Put everything where it is by now: somebody may look again who has not for long. */
    refresh() {
        this.#refresher.changed();
    }

    /** @returns {Partial<ScreenEvents>} What the screen calls. */
    get events() {
        return {
            onHello: (hello) => {
                this.#shape.expect(hello.canvas);
                this.#model.greet(hello, browser.nowMs());
                this.refresh();
            },
            onStatus: (status) => {
                this.#model.follow(status, browser.nowMs());
                this.refresh();
            },
            onClock: (clock) => {
                this.#model.setClock(clock);
                this.refresh();
            },
            onBox: (box, picture) => this.#shape.see(picture),
            onDrawn: (frame) => this.#note(frame),
            onPresented: () => this.#rate.note(),
            onDown: (code) => {
                this.#model.lose(browser.nowMs(), code);
                this.refresh();
            },
            onEnd: (code) => {
                this.#model.end(code);
                this.refresh();
            },
        };
    }

    /** @param {import('../screen/screen.js').FrameReport} frame */
    #note(frame) {
        this.#painted += 1;
        this.#root.classList.add('is-painted');
        Object.assign(this.#canvas.dataset, {
            sequence: frame.sequence,
            job: frame.job ?? '',
            painted: this.#painted,
        });
        if (this.#model.show(frame)) {
            this.refresh();
        }
    }
}
