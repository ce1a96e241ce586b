/** What the wall says in words: only where there is no picture to show. */

/** @typedef {import('../page/language.js').Language} Language */

/** @type {Record<Language, Record<string, string>>} */
const TEXTS = {
    en: {
        empty: 'Nothing hangs here yet',
        gone: 'There is no canvas “{slug}”',
        full: 'The server is full; this screen waits for a place',
        refused: 'The server has refused this screen; reload the page',
        badSlug: '“{slug}” cannot be the name of a canvas: those are made of a–z, 0–9 and -',
        waiting: 'Click once, and this page listens to the microphone',
        refusedMicrophone: 'The browser has been told not to give this page the microphone',
        absentMicrophone: 'There is no microphone',
        busyMicrophone: 'Another program has the microphone',
        lostMicrophone: 'The microphone is gone',
        insecure: 'Browsers give the microphone to pages over HTTPS and on this computer only',
        unsupported: 'This browser cannot listen',
        token: 'To be heard, log in at /studio first, then reload this page',
        unlisted: 'The server tells this page of no other canvases any more; reload the page',
    },
    ru: {
        empty: 'Здесь пока ничего нет',
        gone: 'Холста «{slug}» нет',
        full: 'На сервере нет мест; этот экран ждёт',
        refused: 'Сервер отказал этому экрану; обновите страницу',
        badSlug: '«{slug}» не может быть именем холста: в нём только a–z, 0–9 и -',
        waiting: 'Щёлкните один раз, и страница услышит микрофон',
        refusedMicrophone: 'Браузеру запрещено давать этой странице микрофон',
        absentMicrophone: 'Микрофона нет',
        busyMicrophone: 'Микрофон занят другой программой',
        lostMicrophone: 'Микрофон пропал',
        insecure: 'Браузеры дают микрофон только страницам по HTTPS и на этом же компьютере',
        unsupported: 'Этот браузер не умеет слушать',
        token: 'Чтобы быть услышанным, сначала войдите на /studio, затем обновите эту страницу',
        unlisted: 'Сервер больше не сообщает этой странице о холстах; обновите страницу',
    },
};

/** @typedef {(key: string, values?: { slug?: string }) => string} Say */

/**
 * @param {Language} language
 * @returns {Say}
 */
export function speak(language) {
    return (key, { slug = '' } = {}) => TEXTS[language][key].replace('{slug}', () => slug);
}
