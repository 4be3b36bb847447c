// SPDX-License-Identifier: Apache-2.0
// Compiles wasm/dense.ts into src/training/dense-kernel.ts: `npm run build:kernel -w @sev/fl`.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const COMPILER = 'assemblyscript@0.28.20';
const OPTIONS = ['-O3', '--runtime', 'stub', '--enable', 'simd', '--importMemory', '--noAssert'];

process.chdir(import.meta.dirname);
const directory = mkdtempSync(join(tmpdir(), 'sev-kernel-'));
try {
  const output = join(directory, 'dense.wasm');
  execFileSync('npx', ['--yes', '--package', COMPILER, 'asc', 'wasm/dense.ts', '--outFile', output, ...OPTIONS], {
    stdio: 'inherit',
  });
  const source = createHash('sha256').update(readFileSync('wasm/dense.ts')).digest('hex');
  const kernel = readFileSync(output).toString('base64');
  const text = [
    '// SPDX-License-Identifier: Apache-2.0',
    '// Made from wasm/dense.ts by `npm run build:kernel -w @sev/fl`; not to be edited.',
    '',
    '/** SHA-256 of the source that the kernel was compiled from. */',
    `export const KERNEL_SOURCE = '${source}';`,
    '',
    `/** WebAssembly by ${COMPILER}, base64. */`,
    'export const KERNEL =',
    ...(kernel.match(/.{1,110}/g) ?? []).map((line, i, all) => `  '${line}'${i === all.length - 1 ? ';' : ' +'}`),
    '',
  ].join('\n');
  writeFileSync('src/training/dense-kernel.ts', text);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
