/**
 * What a page shows and how, from its address: pure, and the same words on every page.
 *
 * A bad value never keeps a screen dark: the option is left at its default, and whoever looks into the
 * console is told once what it accepts.
 */

// As the server has it: anything else it refuses before the upgrade, which a page cannot tell from a lost network.
const SLUG = /^[a-z0-9][a-z0-9-]{0,63}$/;

// A wall of more screens than this is a slip of the finger.
const MAX_SCREENS = 64;

/** @typedef {{ search: string, hash?: string }} Address */

/**
 * @typedef {object} Screenful Which part of a picture that lies on several screens this screen shows.
 * @property {number} columns
 * @property {number} rows
 * @property {number} column From 0.
 * @property {number} row From 0.
 */

/**
 * @typedef {object} PageOptions
 * @property {string[] | null} canvases `?canvases=a,b`: these, in this order; null: every lasting canvas.
 * @property {'contain' | 'cover'} fit `?fit=`
 * @property {boolean} hasLabels `?labels=0` hides the names.
 * @property {boolean} hasTimestamps `?timestamps=0` hides the times.
 * @property {'transparent' | string | null} background `?background=transparent` or `#rrggbb`, as CSS has it; null:
 *     the page's own.
 * @property {Screenful | null} screen `?screen=2/3` or `2/3x2`; null: this screen shows all.
 * @property {boolean} isAlwaysVisible `?always=1`: whatever the browser says, somebody looks. OBS and other
 *     compositors show pages that their browser takes for hidden.
 * @property {number | undefined} maxFps `?max_fps=`: this screen wants at most so many frames a second; 0: none, it
 *     is paused.
 * @property {'mic' | null} audio `?audio=mic`
 * @property {'worker' | 'main' | null} pipeline `?pipeline=`; null: the better one that works here.
 * @property {'en' | 'ru' | null} language `?lang=`; null: as the browser wishes.
 */

/**
 * @template Value
 * @typedef {object} Option
 * @property {string} accepts In words, for the warning.
 * @property {(text: string) => Value | undefined} read Undefined where the text is not accepted.
 */

/**
 * @template {string} Word
 * @param {Word[]} words
 * @returns {Option<Word>}
 */
function oneOf(...words) {
    return { accepts: words.join(' or '), read: (text) => words.find((word) => word === text) };
}

/** @type {Option<boolean>} */
export const SWITCH = {
    accepts: '1 or 0',
    read: (text) => (['1', 'true'].includes(text) ? true : ['0', 'false'].includes(text) ? false : undefined),
};

/** @type {Option<string[]>} */
const SLUGS = {
    accepts: 'names of canvases (a to z, 0 to 9 and -), with commas between',
    read: (text) => {
        const slugs = text.split(',').map((slug) => slug.trim());
        return slugs.every(isSlug) ? [...new Set(slugs)] : undefined;
    },
};

/** @type {Option<string>} */
const BACKGROUND = {
    accepts: 'transparent or #rrggbb',
    read: (text) => {
        const [, colour] = /^#?([0-9a-f]{6})$/i.exec(text) ?? [];
        return text === 'transparent' ? text : colour && `#${colour.toLowerCase()}`;
    },
};

/** @type {Option<Screenful>} */
const SCREEN = {
    accepts: 'the number of this screen and how many there are, as in 2/3, or in columns and rows, as in 2/3x2',
    read: (text) => {
        const written = /^(\d+)\/(\d+)(?:x(\d+))?$/.exec(text) ?? [];
        const [number, columns, rows] = written.slice(1).map((part) => Number(part ?? 1));
        const count = columns * rows;
        return number >= 1 && number <= count && count <= MAX_SCREENS
            ? { columns, rows, column: (number - 1) % columns, row: Math.floor((number - 1) / columns) }
            : undefined;
    },
};

/** @type {Option<number>} */
const RATE = {
    accepts: 'a number of frames a second, 0 or more',
    read: (text) => (/^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined),
};

/**
 * The options as they are written. Whoever types `background=#rrggbb` as it is has begun the address's fragment
 * with it, and the rest of the options is there, too.
 *
 * @param {Address} address
 */
export function queryOf({ search, hash = '' }) {
    const isSplit = /[?&]background=$/.test(search);
    return new URLSearchParams(isSplit ? `${search}${hash.replace('#', '%23')}` : search);
}

/**
 * Read a page's address.
 *
 * @param {Address} address
 * @param {(warning: string) => void} warn Called once for each value that is not accepted.
 * @returns {PageOptions}
 */
export function pageOptions(address, warn) {
    const query = queryOf(address);
    /**
     * @template Value
     * @param {string} name
     * @param {Option<Value>} option
     * @returns {Value | undefined}
     */
    const take = (name, { accepts, read }) => {
        const text = (query.get(name) ?? '').trim();
        if (text === '') {
            return undefined;
        }
        const value = read(text);
        if (value === undefined) {
            warn(`${name}=${text.slice(0, 80)} is ignored: ${name} accepts ${accepts}`);
        }
        return value;
    };
    return {
        canvases: take('canvases', SLUGS) ?? null,
        fit: take('fit', oneOf('contain', 'cover')) ?? 'contain',
        hasLabels: take('labels', SWITCH) ?? true,
        hasTimestamps: take('timestamps', SWITCH) ?? true,
        background: take('background', BACKGROUND) ?? null,
        screen: take('screen', SCREEN) ?? null,
        isAlwaysVisible: take('always', SWITCH) ?? false,
        maxFps: take('max_fps', RATE),
        audio: take('audio', oneOf('mic')) ?? null,
        pipeline: take('pipeline', oneOf('worker', 'main')) ?? null,
        language: take('lang', oneOf('en', 'ru')) ?? null,
    };
}

/**
 * The canvas that a page of one canvas names in its path.
 *
 * @param {string} pathname
 * @returns {string | null} As it is written there, which need not be a slug; null: the page is no such page.
 */
export function slugOfPath(pathname) {
    const [, written] = /^\/(?:c|stage)\/([^/]+)\/?$/.exec(pathname) ?? [];
    return written === undefined ? null : decoded(written);
}

/** @param {string} text */
export function isSlug(text) {
    return SLUG.test(text);
}

/** @param {string} written */
function decoded(written) {
    try {
        return decodeURIComponent(written);
    } catch {
        return written;
    }
}
