/** The stage's own words, in English and Russian. */


/**
 * @typedef {object} Words
 * @property {Record<string, string>} phases What is going on, where it is not told by the kind of job.
 * @property {Record<string, string>} kinds What a job does.
 * @property {Record<string, string>} sources Who asks, where no person is named.
 * @property {string} loading
 * @property {string} waiting What stands in the place of a name while nobody has asked.
 * @property {string} samples
 * @property {(folder: string) => string} folder
 * @property {string} feed
 * @property {string} next
 * @property {(count: number) => string} more
 * @property {string} fps
 * @property {string} step
 */

/** @type {Record<import('../page/language.js').Language, Words>} */
export const WORDS = {
    en: {
        phases: {
            connecting: '',
            waiting: 'Waiting',
            paused: 'Paused',
            blank: '',
            unavailable: 'The painter is away',
            lost: 'No connection',
            full: 'The server is full',
            gone: 'There is no such canvas',
            refused: 'The server refuses this page',
        },
        kinds: {
            live: 'Painting live',
            once: 'Painting now',
            variations: 'Painting now',
            playlist: 'Showing',
            ingest: 'Live picture',
            test: 'Showing',
            drawing: 'Drawing now',
        },
        sources: { api: 'API', studio: 'Studio', test: 'Test', donation: 'Donation', audience: 'Audience' },
        loading: 'Getting ready to paint',
        waiting: 'Waiting for the next wish',
        samples: 'Sample pictures',
        folder: (folder) => `Pictures of “${folder}”`,
        feed: 'A picture from outside',
        next: 'Up next',
        more: (count) => `and ${count} more`,
        fps: 'FPS',
        step: 'Step',
    },
    ru: {
        phases: {
            connecting: '',
            waiting: 'Ожидание',
            paused: 'Пауза',
            blank: '',
            unavailable: 'Художник отошёл',
            lost: 'Нет связи',
            full: 'Сервер заполнен',
            gone: 'Такого холста нет',
            refused: 'Сервер не принимает эту страницу',
        },
        kinds: {
            live: 'Живая картина',
            once: 'Сейчас рисуется',
            variations: 'Сейчас рисуется',
            playlist: 'Сейчас показывается',
            ingest: 'Прямая трансляция',
            test: 'Сейчас показывается',
            drawing: 'Сейчас рисуется',
        },
        sources: { api: 'API', studio: 'Студия', test: 'Проверка', donation: 'Донат', audience: 'Зрители' },
        loading: 'Готовимся рисовать',
        waiting: 'Ждём следующее желание',
        samples: 'Примеры картин',
        folder: (folder) => `Картины из папки «${folder}»`,
        feed: 'Картина извне',
        next: 'Далее',
        more: (count) => `и ещё ${count}`,
        fps: 'FPS',
        step: 'Шаг',
    },
};

/**
 * Look a word up that somebody else has named.
 *
 * @param {Record<string, string>} table
 * @param {string} name
 * @returns {string | null} Null where there is none.
 */
export function wordFor(table, name) {
    return Object.hasOwn(table, name) ? table[name] : null;
}
