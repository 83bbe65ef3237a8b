/** Switches between light and dark, and keeps the choice in a cookie that the server reads. */
import { announce, one } from './dom.js';

const root = document.documentElement;

export function offerThemes() {
  one('[data-theme-switch]')?.addEventListener('click', () => {
    const system = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
    const theme = (root.dataset.theme ?? system) === 'dark' ? 'light' : 'dark';
    root.dataset.theme = theme;
    const secure = location.protocol === 'https:' ? '; Secure' : '';
    document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
    announce(`The theme is ${theme} now.`);
  });
}
