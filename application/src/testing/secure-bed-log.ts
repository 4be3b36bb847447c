// SPDX-License-Identifier: Apache-2.0
import type { ServiceLog } from '../services/log.js';

export interface LogEntry {
  readonly service: string;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

/** Everything that the services of a bed log, whatever its level. */
export class BedLog {
  readonly entries: LogEntry[] = [];

  of(service: string): ServiceLog {
    const at = (level: LogEntry['level']) => (fields: object, message: string) => {
      this.entries.push({ service, level, fields, message });
    };
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  }

  /** One line an entry, as text. */
  lines(level?: LogEntry['level']): string[] {
    return this.entries
      .filter((entry) => level === undefined || entry.level === level)
      .map(({ service, level: own, fields, message }) => `${service} ${own} ${message} ${JSON.stringify(fields)}`);
  }
}
