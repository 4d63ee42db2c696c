// SPDX-License-Identifier: Apache-2.0
// The gallery, for whoever works on the components: `npm run gallery`.  Nothing of it is published.
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  resolve: { conditions: ['source', 'module', 'browser', 'development|production'] },
  server: { host: '127.0.0.1' },
  build: { outDir: '../../../build/gallery/site', emptyOutDir: true },
});
