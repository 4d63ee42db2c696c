// SPDX-License-Identifier: Apache-2.0
// Pictures of the gallery, light and dark, wide and narrow, for looking at: `npm run screenshots` writes them to build/gallery/.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { createServer } from 'vite';

const here = import.meta.dirname;
const out = path.join(here, '../../../build/gallery');
mkdirSync(out, { recursive: true });

const server = await createServer({ configFile: path.join(here, 'vite.config.mts'), server: { port: 0 }, logLevel: 'warn' });
await server.listen();
const base = server.resolvedUrls.local[0];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
const problems = [];
try {
  for (const theme of ['light', 'dark']) {
    for (const width of [1200, 390]) {
      const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: theme, reducedMotion: 'reduce', hasTouch: width < 500 });
      const page = await context.newPage();
      page.on('pageerror', error => problems.push(error.message));
      page.on('console', message => { if (message.type() === 'error') problems.push(message.text()); });
      const shot = (name, options) => page.screenshot({ path: path.join(out, `${name}-${theme}-${width}.png`), ...options });
      await page.goto(`${base}?still&toasts`);
      await page.waitForSelector('#PresenceStack');
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (wide > width) problems.push(`${theme} ${width}: the page is ${wide} wide`);
      await page.locator('.td-corner').screenshot({ path: path.join(out, `toasts-${theme}-${width}.png`) });
      for (const section of await page.locator('main > section[id]').all()) {
        await section.screenshot({ path: path.join(out, `${await section.getAttribute('id')}-${theme}-${width}.png`), style: '.td-corner { display: none; }' });
      }
      await page.goto(base);
      for (const phase of ['online', 'waiting', 'failed', 'polling']) {
        const one = page.locator(`#ConnectionIndicator [data-case="${phase}"] .td-sign`).first();
        await one.click();
        await page.locator(`#ConnectionIndicator [data-case="${phase}"]`).scrollIntoViewIfNeeded();
        await shot(`details-${phase}`);
        await page.keyboard.press('Escape');
      }
      await page.locator('#ConflictBanner button', { hasText: 'Merge' }).first().click();
      await page.locator('dialog .td-choice').nth(1).click();
      await shot('merge');
      await context.close();
    }
  }
} finally {
  await browser.close();
  await server.close();
}
for (const problem of problems) console.error(problem);
console.log(`pictures are in ${out}; ${problems.length} problems`);
process.exitCode = problems.length > 0 ? 1 : 0;
