/**
 * Times as people read them. The server writes them into the pages with this module, and the pages keep them up to date with it: so it has
 * no types of its own (they are in time-text.d.ts) and imports nothing.
 */

/** The largest unit alone, except that hours keep their minutes. */
export function coarse(ms) {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (minutes < 1) return `${Math.max(0, Math.floor(ms / 1000))} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 10) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}

export function left(until, now) {
  const ms = Date.parse(until) - now.getTime();
  return ms > 0 ? `${coarse(ms)} left` : 'expired';
}

export function ago(since, now) {
  const ms = now.getTime() - Date.parse(since);
  return ms < 45_000 ? 'just now' : `${coarse(ms)} ago`;
}

export function urgency(until, now) {
  const minutes = (Date.parse(until) - now.getTime()) / 60_000;
  if (minutes <= 0) return 'over';
  if (minutes < 15) return 'now';
  return minutes < 120 ? 'soon' : 'later';
}
