// SPDX-License-Identifier: Apache-2.0
// For importing the style sheet from TypeScript: it gives nothing.
export {};
