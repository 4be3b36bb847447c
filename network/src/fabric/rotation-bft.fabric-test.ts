// SPDX-License-Identifier: Apache-2.0
import { rotationOf } from './testing/rotation.js';

rotationOf('bft', ['grid', 'maker', 'city', 'regulator']);
