// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { LineCounter, parseDocument, type Document } from 'yaml';
import { systemErrorCode, TopologyError } from '../errors.js';
import { nativeTopologySchema, topologySchema, type Topology } from './schema.js';

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = systemErrorCode(error);
    const detail = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code ?? String(error)})`;
    throw new TopologyError(file, undefined, detail, { cause: error });
  }
}

/** Offset of the innermost part of a path that the document has: where a missing field would stand. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)) {
      const [start] = node.range as unknown[];
      return typeof start === 'number' ? start : 0;
    }
  }
  return 0;
}

/** `organisations[1].ports.ca`, as a reader of the file would say it. */
function nameOf(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) =>
      typeof part === 'number' ? `[${part.toString()}]` : `${index === 0 ? '' : '.'}${String(part)}`,
    )
    .join('');
}

/**
 * Reads a topology file (YAML). Relative paths in it are resolved against its folder.
 * @param network for which it has to do; a native network needs more than the embedded one
 * @throws TopologyError naming file, line and field
 */
export function loadTopology(path: string, network: 'embedded' | 'fabric' = 'embedded'): Topology {
  const file = resolve(path);
  const text = readText(file);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [syntaxError] = document.errors;
  if (syntaxError !== undefined) {
    const [first = 'not YAML'] = syntaxError.message.split('\n');
    throw new TopologyError(file, lines.linePos(syntaxError.pos[0]).line, first, { cause: syntaxError });
  }
  const result = (network === 'fabric' ? nativeTopologySchema : topologySchema).safeParse(document.toJS());
  if (!result.success) {
    const [issue] = result.error.issues;
    const issuePath = issue?.path ?? [];
    // An unknown field is reported at the object that holds it; the line is that of the field itself.
    const where = issue?.code === 'unrecognized_keys' ? [...issuePath, ...issue.keys.slice(0, 1)] : issuePath;
    const field = nameOf(issuePath);
    const detail = `${field === '' ? '' : `${field}: `}${issue?.message ?? 'not a topology'}`;
    throw new TopologyError(file, lines.linePos(offsetOf(document, where)).line, detail, { cause: result.error });
  }
  const { chaincode } = result.data;
  return { ...result.data, chaincode: { ...chaincode, path: resolve(dirname(file), chaincode.path) }, file };
}
