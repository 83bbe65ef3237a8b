export { SubjectKeys, type SubjectKey } from './subject-keys.js';
