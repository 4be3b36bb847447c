// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { hash } from '@sev/chaincode/api';

/** Objects that one request may ask for. */
export const MAX_OBJECTS = 32;

/** Body of `POST /objects/read`. */
export const readRequest = z.strictObject({ hashes: z.array(hash).min(1).max(MAX_OBJECTS) });

const LENGTH_BYTES = 4;
/** Stands for an object that cannot be given here; asked for alone, it is answered with the reason. */
const ABSENT = 0xffff_ffff;

/** One object of an answer: its length in four bytes, big-endian, then its bytes. */
export function encodeFrame(bytes: Uint8Array | undefined): Uint8Array[] {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(bytes?.length ?? ABSENT);
  return bytes === undefined ? [length] : [length, bytes];
}

/** @returns the objects in the order asked for, or undefined where the answer does not hold `count` of them. */
export function decodeFrames(data: Buffer, count: number): (Uint8Array | undefined)[] | undefined {
  const objects: (Uint8Array | undefined)[] = [];
  let offset = 0;
  while (objects.length < count && offset + LENGTH_BYTES <= data.length) {
    const length = data.readUInt32BE(offset);
    offset += LENGTH_BYTES;
    if (length === ABSENT) {
      objects.push(undefined);
    } else {
      objects.push(data.subarray(offset, offset + length));
      offset += length;
    }
  }
  return objects.length === count && offset === data.length ? objects : undefined;
}
