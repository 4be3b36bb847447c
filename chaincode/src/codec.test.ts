// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { z } from 'zod';
import { encodeResult, MAX_ARGUMENT_BYTES, parseArgument } from './codec';
import { expectThrown } from './testing/refusal';

const schema = z.strictObject({ name: z.string(), list: z.array(z.strictObject({ n: z.int() })).optional() });

describe('The codec', () => {
  it('reads one JSON argument', () => {
    expect(parseArgument(schema, '{"name":"x"}')).to.deep.equal({ name: 'x' });
  });

  it('refuses what is not JSON, not an object of the form, or too long', () => {
    const long = JSON.stringify({ name: 'ä'.repeat(MAX_ARGUMENT_BYTES / 2) });
    for (const text of ['', '{', 'null', '[]', '{"name":1}', '{"name":"x","more":1}', long]) {
      expectThrown(() => parseArgument(schema, text), 'ARGUMENT_INVALID');
    }
    expectThrown(() => parseArgument(schema, '{"name":"x","__proto__":{}}'), 'ARGUMENT_INVALID');
  });

  it('names the path and keeps the text short', () => {
    expect(() => parseArgument(schema, '{"name":"x","list":[{"n":1},{"n":0.5}]}')).to.throw(/list\.1\.n: /);
    const text = JSON.stringify({ name: 'x', ['y'.repeat(5_000)]: 1 });
    expect(() => parseArgument(schema, text))
      .to.throw()
      .with.property('detail')
      .with.length.at.most(200);
  });

  it('writes canonical JSON', () => {
    expect(encodeResult({ b: 1, a: ['ä', null] })).to.equal('{"a":["ä",null],"b":1}');
  });
});
