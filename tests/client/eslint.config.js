/** `npm run lint`: errors of code and of style, and what the oldest browser does not have. */

import stylistic from '@stylistic/eslint-plugin';
import compat from 'eslint-plugin-compat';

const browserGlobals = [
    'AbortController', 'Audio', 'AudioContext', 'Blob', 'CustomEvent', 'DOMException', 'Event', 'EventTarget',
    'FormData', 'HTMLCanvasElement', 'HTMLElement', 'HTMLInputElement', 'HTMLSelectElement', 'IntersectionObserver',
    'OffscreenCanvas', 'ResizeObserver', 'URL', 'URLSearchParams', 'WebSocket', 'Worker', 'addEventListener',
    'atob', 'cancelAnimationFrame', 'clearInterval', 'clearTimeout', 'console', 'createImageBitmap', 'crypto',
    'devicePixelRatio', 'document', 'fetch', 'isSecureContext', 'localStorage', 'location', 'matchMedia',
    'navigator', 'performance', 'postMessage', 'requestAnimationFrame', 'self', 'sessionStorage', 'setInterval',
    'setTimeout',
];

/** @type {(names: string[]) => Record<string, 'readonly'>} */
const readonly = (names) => Object.fromEntries(names.map((name) => [name, 'readonly']));

const rules = {
    'arrow-body-style': 'error',
    'consistent-return': 'error',
    'curly': 'error',
    'default-case-last': 'error',
    'eqeqeq': 'error',
    'no-constant-condition': 'error',
    'no-else-return': 'error',
    'no-implicit-coercion': 'error',
    'no-param-reassign': 'error',
    'no-restricted-syntax': ['error', 'ExportDefaultDeclaration'],
    'no-shadow': 'error',
    'no-undef': 'error',
    'no-unreachable': 'error',
    'no-unused-private-class-members': 'error',
    'no-unused-vars': 'error',
    'no-use-before-define': ['error', { functions: false, variables: false, classes: true }],
    'no-var': 'error',
    'object-shorthand': 'error',
    'prefer-const': 'error',
    'prefer-template': 'error',
    'require-await': 'error',
};

const style = {
    '@stylistic/comma-dangle': ['error', 'always-multiline'],
    '@stylistic/eol-last': 'error',
    '@stylistic/indent': ['error', 4, { SwitchCase: 1 }],
    '@stylistic/max-len': ['error', { code: 120 }],
    '@stylistic/no-trailing-spaces': 'error',
    '@stylistic/object-curly-spacing': ['error', 'always'],
    '@stylistic/quotes': ['error', 'single', { avoidEscape: true }],
    '@stylistic/semi': 'error',
};

export default [
    { ignores: ['client/vendor/**'] },
    { plugins: { '@stylistic': stylistic }, rules: style },
    {
        files: ['client/**/*.js'],
        ...compat.configs['flat/recommended'],
        languageOptions: { ecmaVersion: 2022, sourceType: 'module', globals: readonly(browserGlobals) },
        rules: { ...compat.configs['flat/recommended'].rules, ...rules },
    },
    {
        files: ['tests/client/**/*.js'],
        languageOptions: {
            ecmaVersion: 2022,
            sourceType: 'module',
            globals: readonly([
                ...browserGlobals, 'Event', 'EventTarget', 'CloseEvent', 'MessageEvent', 'structuredClone',
            ]),
        },
        rules: { ...rules, 'no-restricted-syntax': 'off' },
    },
];
