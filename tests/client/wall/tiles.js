/** A tile with doubles for everything around it, as the tests of its faces and of its life set it up. */

import { Tile } from '../../../client/wall/tile.js';
import { FakeEnvironment, HELLO } from '../fakes.js';
import { FakeElement, FakeOverlays, FakeScreens } from './fakes.js';

export const PLACE = { x: 20, y: 0, width: 1000, height: 1000 };
export const SQUARE = { width: 512, height: 512 };
export const HD = { width: 1920, height: 1080 };

/** A place on a screen that shows all of it. */
export const wholly = (whole, pixelRatio = 2) => ({ whole, shown: whole, pixelRatio, isGliding: false });

export function setUp({ shape = SQUARE, fit = 'contain', place = wholly(PLACE), ...services } = {}) {
    const environment = new FakeEnvironment();
    const { screens = new FakeScreens() } = services;
    const parent = new FakeElement('main');
    const learned = [];
    const sight = { see: null, isWatched: false };
    const tile = new Tile('left', shape, parent, {
        environment,
        screens,
        streamUrl: (slug) => `ws://wall.test/ws/${slug}`,
        surface: { fit, background: '#050507', isSmooth: true },
        isVisible: true,
        watchSight: (_, onSight) => {
            Object.assign(sight, { see: onSight, isWatched: true });
            return () => {
                sight.isWatched = false;
            };
        },
        onShape: () => learned.push({ ...tile.shape }),
        overlays: new FakeOverlays(),
        say: (key, { slug }) => `${key}: ${slug}`,
        ...services,
    });
    tile.hang(place);
    const [section] = parent.children;
    const canvas = section.find('picture');
    const screen = screens.last;
    const plate = section.find('plate');
    return { environment, tile, section, canvas, screen, events: screen.events, plate, learned, sight };
}

export const greet = (events, fields = {}) => events.onHello({ ...HELLO, ...fields });

/** What a screen tells of a frame. */
export function report(sequence, fields = {}) {
    return {
        sequence,
        job: 'job-1',
        tier: 'full',
        timestamp_ms: 1_700_000_000_000 + sequence,
        present_at_ms: null,
        ...fields,
    };
}
