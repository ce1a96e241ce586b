/**
 * One canvas on the wall: its elements and its screen.
 *
 * For tests and for a person with the developer tools, the `<canvas>` says what it shows, as `evidence.js` has it,
 * and in `data-corrupt` how many frames could not be decoded; its parent says the canvas's `state` and, where there
 * is one, the `problem`: `gone`, `full` or `refused`.
 */

import { isSameShape } from '../paint/geometry.js';
import { NO_SUCH_CANVAS } from '../stream/socket.js';
import { build } from './elements.js';
import { tellDrawn, tellPresented } from './evidence.js';
import { hasArea } from './layout.js';
import { expectedBox, isSamePlace, seenOf } from './plate.js';
import { timeOfDay } from './timestamp.js';
import { Visibility } from './visibility.js';

/** @typedef {import('../stream/wire.js').Size} Size */
/** @typedef {import('../paint/geometry.js').Rectangle} Rectangle */

/**
 * @typedef {object} TileServices What all tiles of a page share.
 * @property {import('../stream/environment.js').Environment} environment
 * @property {import('../screen/screens.js').Screens} screens
 * @property {(slug: string) => string} streamUrl
 * @property {import('../paint/surface.js').SurfaceOptions} surface
 * @property {boolean} isVisible Of the page, at the start.
 * @property {number} [maxFps] At most so many frames a second; 0: none.
 * @property {(element: Element, onSight: (isInSight: boolean) => void) => () => void} watchSight
 * @property {() => void} onShape Called when a tile has learned its canvas's size.
 * @property {import('./texts.js').Say} say
 * @property {Pick<import('../overlay/overlays.js').Overlays, 'mount'>} overlays
 */

// Below this many CSS pixels the two captions would meet.
const NARROW_PX = 190;

// Pictures of one shape for so long have come to stay.
const STEADY_MS = 1000;

// A close code of the server's: it has as many screens as it may, and is asked again.
const TRY_AGAIN_LATER = 1013;

// A tile that leaves fades out in the style sheet in less.
const LEAVE_MS = 1000;

export class Tile {
    /** @type {Size} */
    #shape;
    /** @type {Size | null} Of the pictures that come now; of their sizes only the shape counts. */
    #picture = null;
    /** @type {Size | null} Of the pictures that the tile is hung for. */
    #hung = null;
    /** @type {any} */
    #hangTimer = null;
    /** @type {import('./wall.js').TilePlace | null} */
    #place = null;
    #painted = 0;
    #isInSight = true;
    #isEnded = false;
    #services;
    /** @type {string | null} */
    #epoch = null;
    /** @type {string[] | null} */
    #features = null;
    #elements;
    #screen;
    /** @type {import('../overlay/overlays.js').Mounted | null} Null while it is being mounted. */
    #overlay = null;
    #visibility;
    #unwatchSight;

    /**
     * @param {string} slug
     * @param {Size | null} shape The canvas's size, where it is known yet.
     * @param {Element} parent Where the tile is put.
     * @param {TileServices} services
     */
    constructor(slug, shape, parent, services) {
        this.slug = slug;
        this.#shape = shape ?? { width: 1, height: 1 };
        this.#services = services;
        this.#elements = build(slug);
        const { environment, isVisible, maxFps, overlays, screens, streamUrl, surface, watchSight } = services;
        const settings = { slug, url: streamUrl(slug), isVisible, maxFps };
        this.#screen = screens.create(this.#elements.canvas, { ...settings, ...surface }, this.#events());
        this.#overlay = overlays.mount(this.#elements.tile, slug, (isOpen) => this.#screen.watchFigures(isOpen));
        this.#visibility = new Visibility(environment, isVisible, (isInSight) => this.#screen.setVisible(isInSight));
        this.#unwatchSight = watchSight(this.#elements.tile, (isInSight) => {
            this.#isInSight = isInSight;
            this.#noteSight();
        });
        // Now that nothing can go wrong with it: one that could not be made leaves nothing on the page.
        parent.append(this.#elements.tile);
        this.#screen.open();
    }

    /** What the tile is hung for: its pictures' size, the canvas's before the first; a square where nobody has told. */
    get shape() {
        return this.#hung ?? this.#shape;
    }

    /** Whether there is something to see of it. */
    get isPainted() {
        return this.#painted > 0;
    }

    /** Whether the server wants this screen no longer. */
    get isEnded() {
        return this.#isEnded;
    }

    /** The incarnation of the canvas that it last received, or null before the first. */
    get epoch() {
        return this.#epoch;
    }

    /** What the server can do for this screen; null until it has said so. */
    get features() {
        return this.#features;
    }

    /**
     * Hear of the canvas's size from the list, before it says so itself.
     *
     * @param {Size} shape
     */
    expect({ width, height }) {
        if (this.#epoch === null) {
            this.#shape = { width, height };
        }
    }

    /** Try again after the end: the canvas is there once more. */
    reopen() {
        this.#isEnded = false;
        this.#screen.open();
    }

    /**
     * Hang the tile.
     *
     * @param {import('./wall.js').TilePlace} place
     */
    hang(place) {
        if (isSamePlace(this.#place, place)) {
            // The list of canvases says something else that is new: nothing is drawn anew, and a glide goes on.
            return;
        }
        this.#mark('is-gliding', place.isGliding && this.#canGlide(place));
        this.#place = place;
        const { whole, shown, pixelRatio } = place;
        const { style } = this.#elements.tile;
        style.left = `${shown.x / pixelRatio}px`;
        style.top = `${shown.y / pixelRatio}px`;
        style.width = `${shown.width / pixelRatio}px`;
        style.height = `${shown.height / pixelRatio}px`;
        if (hasArea(shown)) {
            const view = { ...shown, x: shown.x - whole.x, y: shown.y - whole.y };
            this.#letter(expectedBox(this.#picture ?? this.shape, place, this.#services.surface.fit));
            this.#screen.hang({ place: { width: whole.width, height: whole.height }, view });
        }
        // After the size, so that whoever appears says in one message how large it is.
        this.#noteSight();
    }

    /**
     * Tell whether anybody can see the tile. On a wall of several screens one beside which it hangs looks all the same
     * until it has seen a picture: that may have another shape than its canvas, and lie here.
     */
    #noteSight() {
        const place = this.#place;
        const isHere = place === null || hasArea(place.shown);
        const isLooking = place !== null && !isHere && hasArea(place.whole) && this.#picture === null;
        this.#visibility.note('area', isHere || isLooking);
        this.#visibility.note('sight', this.#isInSight || isLooking);
    }

    /**
     * A tile that has just been made appears where it belongs, and a picture on its way into another shape would be
     * a distorted one.
     *
     * @param {import('./wall.js').TilePlace} place
     */
    #canGlide({ shown }) {
        return this.isPainted && this.#place !== null && isSameShape(this.#place.shown, shown);
    }

    /** @param {boolean} isVisible Whether the page is. */
    setVisible(isVisible) {
        this.#visibility.note('page', isVisible);
    }

    /**
     * Send a message to the server, where it wants such messages from this screen.
     *
     * @param {string} feature The one among the server's that tells so.
     * @param {{ type: string } & Record<string, unknown>} message
     * @returns {boolean} Whether it does.
     */
    send(feature, message) {
        const isWanted = this.#features?.includes(feature) ?? false;
        if (isWanted) {
            this.#screen.send(message);
        }
        return isWanted;
    }

    close() {
        const { environment } = this.#services;
        this.#unwatchSight();
        this.#visibility.close();
        environment.clearTimer(this.#hangTimer);
        this.#overlay?.close();
        this.#screen.close();
        this.#mark('is-leaving', true);
        environment.setTimer(() => this.#elements.tile.remove(), LEAVE_MS);
    }

    /** @returns {Partial<import('../screen/screen.js').ScreenEvents>} */
    #events() {
        const { dataset } = this.#elements.canvas;
        return {
            onHello: (hello) => this.#greet(hello),
            onStatus: (status) => {
                this.#elements.tile.dataset.state = status.state;
            },
            onDown: (code) => this.#drop(code),
            onEnd: (code) => this.#end(code),
            onBox: (box, picture) => this.#see(box, picture),
            onDrawn: (report) => this.#label(report),
            onPresented: (report) => tellPresented(this.#elements.canvas, this.slug, report),
            onFigures: (figures) => this.#overlay?.show(figures),
            onCorrupt: (count) => {
                dataset.corrupt = String(count);
            },
        };
    }

    /** @param {import('../stream/wire.js').Hello} hello */
    #greet(hello) {
        this.#mark('is-down', false);
        this.#tell('');
        this.#overlay?.note(hello);
        this.#epoch = hello.epoch;
        this.#features = hello.features ?? [];
        const { width, height } = hello.canvas;
        if (width !== this.#shape.width || height !== this.#shape.height) {
            this.#shape = { width, height };
            this.#services.onShape();
        }
    }

    /** @param {number} [code] Why the connection was closed, where the server said so. */
    #drop(code) {
        this.#mark('is-down', true);
        if (code === TRY_AGAIN_LATER) {
            this.#tell('full');
        }
    }

    /** @param {number} code */
    #end(code) {
        this.#isEnded = true;
        this.#tell(code === NO_SUCH_CANVAS ? 'gone' : 'refused');
        if (code === NO_SUCH_CANVAS) {
            // Nobody paints here any more: its last picture would be a claim.
            this.#mark('is-painted', false);
        }
    }

    /**
     * Say why there is no picture, where there is none.
     *
     * @param {'' | 'gone' | 'full' | 'refused'} problem
     */
    #tell(problem) {
        const { message, tile } = this.#elements;
        tile.dataset.problem = problem;
        if (problem !== '') {
            message.textContent = this.#services.say(problem, { slug: this.slug });
        }
    }

    /**
     * Learn where the picture lies.
     *
     * @param {Rectangle} box On the canvas, in device pixels; it may reach beyond it.
     * @param {Size} picture
     */
    #see(box, picture) {
        this.#letter(box);
        if (this.#picture === null || !isSameShape(this.#picture, picture)) {
            // A rendition's sides are rounded: the canvas's own say its shape better.
            this.#picture = isSameShape(this.#shape, picture) ? this.#shape : picture;
            this.#noteSight();
            this.#hangAnew();
        }
    }

    /**
     * Have the wall hang the tile for pictures of another shape, once they have come to stay: pictures that
     * change their shape in turn must not make the others dance. Never at once: a frame is being drawn.
     */
    #hangAnew() {
        const { environment, onShape } = this.#services;
        environment.clearTimer(this.#hangTimer);
        const picture = this.#picture;
        if (picture === null || isSameShape(this.shape, picture)) {
            return;
        }
        const delayMs = this.#hung === null ? 0 : STEADY_MS;
        this.#hangTimer = environment.setTimer(() => {
            this.#hung = picture;
            onShape();
        }, delayMs);
    }

    /** @param {import('../screen/screen.js').FrameReport} drawn */
    #label(drawn) {
        this.#painted += 1;
        this.#mark('is-painted', true);
        this.#elements.timestamp.textContent = timeOfDay(drawn.timestamp_ms);
        tellDrawn(this.#elements.canvas, drawn, this.#painted);
    }

    /**
     * Put the captions and the dot on the picture.
     *
     * @param {Rectangle} box Of the picture on the canvas.
     */
    #letter(box) {
        if (this.#place === null || !hasArea(this.#place.shown)) {
            return;
        }
        const { shown, pixelRatio } = this.#place;
        const seen = seenOf(box, this.#place);
        const { style } = this.#elements.plate;
        // In parts of the tile, so that they stay on the picture while it glides.
        style.left = `${(seen.x / shown.width) * 100}%`;
        style.top = `${(seen.y / shown.height) * 100}%`;
        style.width = `${(seen.width / shown.width) * 100}%`;
        style.height = `${(seen.height / shown.height) * 100}%`;
        this.#mark('is-narrow', seen.width / pixelRatio < NARROW_PX);
    }

    /**
     * @param {string} name
     * @param {boolean} isSet
     */
    #mark(name, isSet) {
        this.#elements.tile.classList.toggle(name, isSet);
    }
}
