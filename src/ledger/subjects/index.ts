export { SubjectKeys } from './subject-keys.js';
