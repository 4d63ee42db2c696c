// SPDX-License-Identifier: Apache-2.0
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import '@tidings/ui/styles.css';
import '../shared/styles.css';
import 'uplot/dist/uPlot.min.css';
import { startTheme } from '../shared/theme.ts';
import { App } from './App.tsx';

startTheme();
createRoot(document.getElementById('root')!).render(<StrictMode><App /></StrictMode>);
