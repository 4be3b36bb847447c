// SPDX-License-Identifier: Apache-2.0
import { Interrupt } from './interrupt.js';
import { runCli } from './program.js';

const interrupt = new Interrupt();
interrupt.listen();
const { stdout, stderr, env } = process;
// A reader that has gone away (`sev … | head`) is no failure of ours.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') {
    throw error;
  }
});
process.exitCode = await runCli(process.argv.slice(2), { stdout, stderr, env }, interrupt);
if (interrupt.received !== undefined) {
  // Whatever is still under way was given up; it is safe to be broken off anywhere.
  process.exit();
}
