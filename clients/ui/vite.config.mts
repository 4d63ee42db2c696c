// SPDX-License-Identifier: Apache-2.0
import { library } from '../vite.lib.mts';

export default library(import.meta.dirname, 'jsdom');
