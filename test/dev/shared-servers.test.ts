/** What every other test stands on: the servers of this run. */
import { openConnection } from '../../src/client/connection.js';
import { Client, type Connection } from '@temporalio/client';
import { defineSearchAttributeKey, TypedSearchAttributes } from '@temporalio/common';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { createDatabase } from '../support/postgres.js';
import { createNamespace } from '../support/temporal.js';

describe('the shared Postgres', () => {
  const query = async (url: string, text: string): Promise<readonly Record<string, unknown>[]> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  };

  test('is Postgres 18, on the loopback interface, in UTF-8', async () => {
    const [row] = await query(
      inject('postgresUrl'),
      `SELECT current_setting('server_version_num')::int / 10000 AS major, current_setting('listen_addresses') AS addresses,
              current_setting('server_encoding') AS encoding`,
    );
    expect(row).toEqual({ major: 18, addresses: '127.0.0.1', encoding: 'UTF8' });
  });

  test('refuses a wrong password', async () => {
    const url = new URL(inject('postgresUrl'));
    url.password = 'wrong';
    await expect(query(url.href, 'SELECT 1')).rejects.toThrow('password authentication failed');
  });

  test('gives databases that do not see each other', async () => {
    const [one, two] = await Promise.all([createDatabase(), createDatabase()]);
    await query(one.url, 'CREATE TABLE here (id int)');
    await expect(query(two.url, 'SELECT * FROM here')).rejects.toThrow('relation "here" does not exist');
    await Promise.all([one.drop(), two.drop()]);
  });

  test('drops a database that somebody is still connected to', async () => {
    const database = await createDatabase();
    const left = new pg.Client({ connectionString: database.url });
    const ended = new Promise((resolve) => left.on('error', resolve));
    await left.connect();
    await database.drop();
    await ended;
    await expect(query(database.url, 'SELECT 1')).rejects.toThrow('does not exist');
  });
});

describe('a namespace on the shared Temporal server', () => {
  let connection: Connection;
  let close: () => Promise<void>;
  beforeAll(async () => {
    ({ connection, close } = await openConnection(inject('temporalAddress')));
  });
  afterAll(() => close());

  test('starts workflows with the search attributes at once, and finds them', async () => {
    const { namespace } = await createNamespace();
    const client = new Client({ connection, namespace });
    const typedSearchAttributes = new TypedSearchAttributes([
      { key: defineSearchAttributeKey('CountersignStatus', 'KEYWORD'), value: 'pending' },
      { key: defineSearchAttributeKey('CountersignReceipt', 'INT'), value: 7 },
    ]);
    await client.workflow.start('anything', { taskQueue: 'none', workflowId: 'one', typedSearchAttributes });
    const query = `CountersignStatus = 'pending' AND CountersignReceipt = 7`;
    await expect.poll(async () => (await client.workflow.count(query)).count).toBe(1);
  });

  test('sees nothing of another', async () => {
    const [one, two] = await Promise.all([createNamespace(), createNamespace()]);
    await new Client({ connection, namespace: one.namespace }).workflow.start('anything', {
      taskQueue: 'none',
      workflowId: 'same-id',
    });
    const elsewhere = new Client({ connection, namespace: two.namespace }).workflow.getHandle('same-id');
    await expect(elsewhere.describe()).rejects.toThrow('not found');
  });
});
