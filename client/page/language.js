/** Which language a page speaks. */

/** @typedef {'en' | 'ru'} Language */

/** @type {readonly Language[]} */
export const LANGUAGES = ['en', 'ru'];

/**
 * @param {Language | null} wish Of the address.
 * @param {readonly string[]} preferred Of the browser, the dearest first, as `ru-RU`.
 * @returns {Language}
 */
export function chooseLanguage(wish, preferred) {
    const spoken = preferred.map((tag) => LANGUAGES.find((language) => language === tag.toLowerCase().split('-')[0]));
    return wish ?? spoken.find((language) => language !== undefined) ?? 'en';
}
