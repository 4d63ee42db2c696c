// SPDX-License-Identifier: Apache-2.0
// The pages that the server shows.  What comes out in dist/ is committed and embedded: it is the same for the same sources, and
// keeps to the server's Content Security Policy, which allows no script, style or connection but its own.
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import path from 'node:path';
import { defineConfig } from 'vite';

const server = process.env.TIDINGS_URL ?? 'http://127.0.0.1:8000';
const page = (name: string) => path.join(import.meta.dirname, name);

export default defineConfig({
  root: import.meta.dirname,
  // Relative, so that the pages also work below a path of a proxy.
  base: './',
  plugins: [react(), tailwindcss()],
  resolve: { conditions: ['source', 'module', 'browser', 'development|production'] },
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
    sourcemap: false,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
    rolldownOptions: { input: [page('index.html'), page('console.html')] },
  },
  server: {
    port: 5173,
    proxy: {
      '^/(api|dev|healthz|readyz|metrics)': { target: server },
      '/ws': { target: server, ws: true },
      '/api/': { target: server, ws: true },
    },
  },
});
