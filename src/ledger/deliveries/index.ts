/** How people were told of what waits for them. */
export { Deliveries } from './deliveries.js';
