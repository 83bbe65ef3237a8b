/** `4 min`, `1 h 36 min`, `2 days`. */
export function coarse(ms: number): string;
/** `4 min left`, or `expired`. */
export function left(until: string, now: Date): string;
/** `4 min ago`, or `just now`. */
export function ago(since: string, now: Date): string;
/** How soon somebody must look: `over`, `now` (under 15 minutes), `soon` (under 2 hours), `later`. */
export function urgency(until: string, now: Date): 'over' | 'now' | 'soon' | 'later';
