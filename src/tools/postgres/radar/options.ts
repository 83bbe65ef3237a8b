/** The option `radar` of the `postgres` tool. */
import type { ClientConfig } from 'pg';
import type { DeclaredWriters } from '../../../radar/source.js';

/** How the covered tables are watched, and who else may write to them. */
export interface PostgresRadarOptions {
  /**
   * The URL of the database for the role that watches. It needs REPLICATION, and to own the tables until the radar is set up. Default: the
   * tool's own role.
   */
  readonly url?: string;
  /** The settings of node-postgres for it, instead of `url`. */
  readonly connection?: ClientConfig;
  /** Writers beside Countersign that are expected. Default none. */
  readonly writers?: DeclaredWriters;
  /** Whether each table gets a trigger that says who writes. Without it nobody can be declared. Default true. */
  readonly triggers?: boolean;
  /** How often it looks. Milliseconds from 100 to 60,000, default 1,000. */
  readonly everyMs?: number;
  /** How much of its log the database may keep for the radar. Past it the radar gives its place up, and says so. Bytes, default 1 GiB. */
  readonly maxLagBytes?: number;
  /** The name of its replication slot and its publications. Two installations that watch one database need two. Default: made of the tool's name and database. */
  readonly slot?: string;
  /** Whether nothing may be changed there while the database cannot be watched. Default false: then the radar is off, and says why. */
  readonly required?: boolean;
}
