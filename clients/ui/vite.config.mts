// SPDX-License-Identifier: Apache-2.0
import { copyFileSync } from 'node:fs';
import path from 'node:path';
import { library } from '../vite.lib.mts';

const here = import.meta.dirname;
const configuration = library(here, 'jsdom');

// The style sheet is published as it is written.
configuration.plugins = [{
  name: 'styles',
  closeBundle() { copyFileSync(path.join(here, 'src/styles.css'), path.join(here, 'dist/styles.css')); },
}];

export default configuration;
