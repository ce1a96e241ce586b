/**
 * Bundles what the browser client needs of `@msgpack/msgpack` into one ES module, the same bytes
 * every time: `npm run vendor` writes it, `npm run vendor:check` fails where it has drifted.
 *
 * It lies here, and not in `client/`, because that folder is served as it is.
 */

import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TARGET = path.join(ROOT, 'client/vendor/msgpack.js');

/** The licence asks that its text goes with every copy. */
async function header() {
    const folder = path.join(ROOT, 'node_modules/@msgpack/msgpack');
    const { version } = createRequire(import.meta.url)(path.join(folder, 'package.json'));
    const licence = (await readFile(path.join(folder, 'LICENSE'), 'utf8')).trim();
    const lines = licence.split('\n').map((line) => (line === '' ? ' *' : ` * ${line}`));
    return [
        '/*!',
        ` * @msgpack/msgpack ${version}: encode and decode, bundled by \`npm run vendor\`. Do not edit.`,
        ' *',
        ...lines,
        ' */',
        '// @ts-nocheck',
    ].join('\n');
}

async function bundle() {
    const result = await build({
        stdin: { contents: "export { decode, encode } from '@msgpack/msgpack';", resolveDir: ROOT },
        bundle: true,
        format: 'esm',
        target: ['chrome103', 'firefox115', 'safari15.4'],
        banner: { js: await header() },
        write: false,
    });
    return result.outputFiles[0].text;
}

const text = await bundle();
if (process.argv.includes('--check')) {
    if ((await readFile(TARGET, 'utf8')) !== text) {
        console.error('client/vendor/msgpack.js differs from what `npm run vendor` makes');
        process.exitCode = 1;
    }
} else {
    await writeFile(TARGET, text);
}
