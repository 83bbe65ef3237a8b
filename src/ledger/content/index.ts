/** What is kept under its digest. */
export { Content } from './content.js';
