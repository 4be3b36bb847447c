// SPDX-License-Identifier: Apache-2.0
import { mkdir, rename, rm, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { writeFileAtomic, writeJson } from '../store/files.js';
import { reportSchema, type Report } from './report.js';
import { plotOf } from './summary.js';
import { accuracySvg } from './svg.js';

/** Name of a run's folder: when it started and which task it was. */
export function runFolderName(startedAt: Date, taskId: string): string {
  const stamp = startedAt
    .toISOString()
    .replace(/[-:]/g, '')
    .replace(/\.\d+Z$/, 'Z');
  return `${stamp}-${taskId}`;
}

/**
 * Writes `report.json` and `accuracy.svg` into `<runs>/<timestamp>-<task>` and then points `<runs>/latest` at it: a
 * reader of `latest` sees the whole old run or the whole new one.
 *
 * @returns the folder.
 */
export async function writeReport(runs: string, startedAt: Date, report: Report): Promise<string> {
  const checked = reportSchema.parse(report);
  const folder = join(runs, runFolderName(startedAt, report.taskId));
  await mkdir(folder, { recursive: true });
  await writeFileAtomic(join(folder, 'accuracy.svg'), accuracySvg(plotOf(checked)));
  await writeJson(join(folder, 'report.json'), checked);
  await pointLatest(runs, folder);
  return folder;
}

/** Renaming a fresh symbolic link over the old one swaps it in one step. */
async function pointLatest(runs: string, folder: string): Promise<void> {
  const temporary = join(runs, `.latest-${String(process.pid)}`);
  await rm(temporary, { force: true });
  await symlink(basename(folder), temporary);
  await rename(temporary, join(runs, 'latest'));
}
