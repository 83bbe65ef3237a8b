/** Loaded before a worker, puts its clock off by CHAOS_SKEW_MS: everything in it that asks for the date gets the wrong one. */
const skewMs = Number(process.env['CHAOS_SKEW_MS'] ?? 0);
const TrueDate = Date;

class SkewedDate extends TrueDate {
  constructor(...given: unknown[]) {
    if (given.length === 0) super(TrueDate.now() + skewMs);
    else super(...(given as [number]));
  }

  static override now(): number {
    return TrueDate.now() + skewMs;
  }
}

globalThis.Date = SkewedDate as DateConstructor;
