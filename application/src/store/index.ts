// SPDX-License-Identifier: Apache-2.0
export { FileStore, type FileStoreOptions } from './file-store.js';
export {
  PRIVATE_DIRECTORY,
  PRIVATE_FILE,
  makePrivateDirectory,
  readIfThere,
  readJson,
  writeFileAtomic,
  writeJson,
} from './files.js';
export { HttpStore, type HttpStoreOptions } from './http-store.js';
export { DEFAULT_MAX_OBJECT_BYTES, assertHash, type ObjectStore } from './object-store.js';
export { startStoreServer, type StoreServer, type StoreServerOptions } from './server.js';
