/**
 * Shows pictures one after the other on a surface, with the transition that the canvas asks for.
 *
 * A picture never waits for the one before: one that comes in mid-transition starts from what is to be
 * seen then, or replaces it at once where no transition fits. The first step is drawn together with
 * the picture's arrival and shows some of it, so that a frame counts as presented from then on. What is
 * drawn may be freed at once: the two pictures of a transition are copies, of the canvas's size, which are
 * freed when it is over. Without a transition there is no copy, and no animation frame of its own.
 *
 * There is no transition to the first picture, to one that returns from a blackout or to a page that was
 * hidden, to the same picture in a better tier or at another size, nor where somebody asked for less motion.
 */

import { EFFECTS } from './effects.js';
import { free, makeLayer, put } from './layers.js';
import { Surface } from './surface.js';
import { CUT, Progress, Rhythm, plannedPauseMs } from './transition.js';

/** @typedef {import('./surface.js').Context} Context */

/**
 * @typedef {object} Run A transition on its way.
 * @property {Progress} progress
 * @property {import('./effects.js').Effect} effect
 * @property {import('./effects.js').Scene} scene
 * @property {import('./effects.js').Draw} draw
 */

export class Projector {
    #surface;
    #environment;
    #isStill;
    #rhythm = new Rhythm();
    /** @type {import('../stream/wire.js').Transition} */
    #transition = CUT;
    #fps = 0;
    #plannedMs = Infinity;
    /** @type {string | null} */
    #epoch = null;
    /** @type {number | null} Of the picture that is shown, within its epoch. */
    #sequence = null;
    /** Whether there is a picture to turn into the next one. */
    #isShowing = false;
    /** Whether what the canvas shows is its blackout. */
    #isBlank = false;
    #isVisible = true;
    #isFrameRequested = false;
    /** @type {Run | null} */
    #run = null;
    /** @type {Context[]} Layers of the effect's own. */
    #own = [];

    /**
     * @param {import('./surface.js').Canvas} canvas
     * @param {import('./surface.js').SurfaceOptions} options
     * @param {import('../stream/environment.js').Environment} environment
     */
    constructor(canvas, options, environment) {
        this.#surface = new Surface(canvas, options);
        this.#environment = environment;
        this.#isStill = options.isStill === true;
    }

    /** @param {import('./surface.js').Hanging} hanging */
    hang(hanging) {
        this.#surface.hang(hanging);
    }

    /**
     * Where a picture of this shape lies on the canvas, in device pixels; it may reach beyond it.
     *
     * @param {import('../stream/wire.js').Size} picture
     */
    boxOf(picture) {
        return this.#surface.boxOf(picture);
    }

    /**
     * Learn what the canvas is.
     *
     * @param {import('../stream/wire.js').Hello} hello
     */
    greet({ epoch, canvas }) {
        if (epoch !== this.#epoch) {
            this.#epoch = epoch;
            this.#sequence = null;
        }
        this.#rhythm.interrupt();
        this.#transition = canvas.transition ?? CUT;
        this.#fps = canvas.fps ?? 0;
    }

    /**
     * Learn what the canvas does.
     *
     * @param {import('../stream/wire.js').Status} status
     */
    follow(status) {
        this.#transition = status.transition ?? this.#transition;
        this.#plannedMs = plannedPauseMs(status, this.#fps);
        this.#isBlank = status.state === 'blank';
        this.#isShowing &&= !this.#isBlank;
    }

    /**
     * Show a picture; called in an animation frame.
     *
     * @param {import('./decoders.js').Picture} picture May be closed afterwards.
     * @param {import('../stream/wire.js').Frame} frame
     */
    draw(picture, frame) {
        const isOpaque = frame.format === 'jpeg';
        const nowMs = this.#environment.nowMs();
        const isNews = frame.sequence !== this.#sequence;
        if (isNews) {
            this.#rhythm.note(nowMs, frame.job);
        }
        this.#sequence = frame.sequence;
        if (!isNews && this.#run !== null && this.#surface.hasPixels) {
            this.#refine(this.#run, picture, isOpaque);
        } else if (!isNews || !this.#turn(picture, isOpaque, nowMs)) {
            this.#release();
            this.#surface.draw(picture, isOpaque);
        }
        this.#isShowing = this.#isVisible && !this.#isBlank;
    }

    /**
     * While nobody looks nothing moves; whoever returns finds the picture.
     *
     * @param {boolean} isVisible
     */
    setVisible(isVisible) {
        this.#isVisible = isVisible;
        if (!isVisible) {
            this.#rhythm.interrupt();
            this.#isShowing = false;
            this.#finish();
        }
    }

    /** The graphics driver has begun anew, and nothing is left of what was drawn. */
    forget() {
        this.#isShowing = false;
        this.#release();
    }

    close() {
        this.#release();
    }

    /**
     * Turn what is shown into a picture, where that is wanted.
     *
     * @param {import('./decoders.js').Picture} picture
     * @param {boolean} isOpaque
     * @param {number} nowMs
     * @returns {boolean} Whether its first step is drawn.
     */
    #turn(picture, isOpaque, nowMs) {
        const { kind, duration_s } = this.#transition;
        const effect = EFFECTS.get(kind);
        const isDueLater = this.#rhythm.nextInMs(this.#plannedMs) >= 1000 * duration_s;
        const canTurn = this.#isShowing && this.#isVisible && !this.#isStill && this.#surface.hasPixels;
        if (effect === undefined || !(duration_s > 0) || !isDueLater || !canTurn) {
            return false;
        }
        const scene = this.#makeScene();
        if (scene === null) {
            return false;
        }
        put(this.#surface.context, scene.from);
        this.#surface.drawOn(scene.to, picture, isOpaque);
        this.#run = { progress: new Progress(this.#transition, nowMs), effect, scene, draw: effect(scene) };
        this.#advance();
        return true;
    }

    /**
     * Two layers for the pictures: those of the transition that ends here, where there is one.
     *
     * @returns {import('./effects.js').Scene | null} Null where there is no memory for them.
     */
    #makeScene() {
        const { canvas, context, hanging, isTransparent } = this.#surface;
        const make = (/** @type {number} */ width, /** @type {number} */ height) => makeLayer(canvas, width, height);
        const makeOwn = (/** @type {number} */ width, /** @type {number} */ height) => {
            const layer = make(width, height);
            this.#own.push(...(layer === null ? [] : [layer]));
            return layer;
        };
        this.#freeOwn();
        const from = this.#run?.scene.from ?? make(canvas.width, canvas.height);
        const to = this.#run?.scene.to ?? make(canvas.width, canvas.height);
        if (from === null || to === null) {
            [from, to].forEach((layer) => layer !== null && free(layer));
            return null;
        }
        return { context, from, to, hanging, isTransparent, makeLayer: makeOwn };
    }

    /**
     * Go on to a better rendition of the same picture.
     *
     * @param {Run} run
     * @param {import('./decoders.js').Picture} picture
     * @param {boolean} isOpaque
     */
    #refine(run, picture, isOpaque) {
        this.#surface.drawOn(run.scene.to, picture, isOpaque);
        // Anew, since an effect does not draw again what it has drawn.
        this.#freeOwn();
        run.draw = run.effect(run.scene);
        this.#advance();
    }

    #advance() {
        if (this.#run === null) {
            return;
        }
        const amount = this.#run.progress.amountAt(this.#environment.nowMs());
        if (amount >= 1) {
            this.#finish();
            return;
        }
        this.#run.draw(amount);
        if (!this.#isFrameRequested) {
            this.#isFrameRequested = true;
            this.#environment.requestFrame(() => {
                this.#isFrameRequested = false;
                this.#advance();
            });
        }
    }

    /** Show the new picture, as it would be without a transition. */
    #finish() {
        if (this.#run !== null) {
            put(this.#run.scene.to, this.#surface.context);
            this.#release();
        }
    }

    /** Free the copies: 33 MB each at 4K. */
    #release() {
        if (this.#run !== null) {
            const { from, to } = this.#run.scene;
            this.#run = null;
            [from, to].forEach(free);
            this.#freeOwn();
        }
    }

    #freeOwn() {
        this.#own.splice(0).forEach(free);
    }
}
