/** The smallest images that tell whether a format is decoded, made with Pillow. */

/**
 * @typedef {object} Sample
 * @property {'jpeg' | 'png' | 'webp'} format
 * @property {string} base64
 * @property {number} width Of the picture as it is to be shown.
 * @property {number} height
 */

// Two pixels side by side that are to be turned upright, as photographs of a telephone are.
const TURNED_JPEG =
    '/9j/4AAQSkZJRgABAQAAAQABAAD/4QAiRXhpZgAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6'
    + 'PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5moq6T/wAALCAABAAIBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAA'
    + 'AAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AP//Z';

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg==';

const LOSSY_WEBP = 'UklGRiQAAABXRUJQVlA4IBgAAABQAQCdASoBAAEADMDOJaQABHQAAAAAAAA=';

/** @type {Sample[]} */
export const SAMPLES = [
    { format: 'jpeg', base64: TURNED_JPEG, width: 1, height: 2 },
    { format: 'png', base64: PNG, width: 1, height: 1 },
    { format: 'webp', base64: LOSSY_WEBP, width: 1, height: 1 },
];
