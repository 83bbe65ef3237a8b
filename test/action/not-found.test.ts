/** What is told of something that is not there, or stands for something else: programs go by the code and the field. */
import { expect, test } from 'vitest';
import { actionConflict } from '../../src/action/errors-conflict.js';
import {
  actionNotFound,
  freezeNotFound,
  passkeyNotFound,
  radarAlertNotFound,
  trailNotFound,
} from '../../src/action/errors-not-found.js';

test('what is not there is told with the field that named it, and with its name', () => {
  for (const [error, field, message] of [
    [actionNotFound('a-1'), 'actionId', 'There is no action a-1.'],
    [actionNotFound('a-1', ' in acme'), 'actionId', 'There is no action a-1 in acme.'],
    [actionNotFound('a-1', '', { field: 'id' }), 'id', 'There is no action a-1.'],
    [freezeNotFound(7), 'id', 'There is no freeze 7.'],
    [freezeNotFound(7, ' in acme'), 'id', 'There is no freeze 7 in acme.'],
    [radarAlertNotFound(7), 'id', 'The radar has no alert 7.'],
    [passkeyNotFound('credentialId'), 'credentialId', 'There is no such passkey.'],
    [trailNotFound('There is no receipt 9.', 'Ask for another.'), 'trail', 'There is no receipt 9.'],
  ] as const)
    expect(error).toMatchObject({ code: 'NOT_FOUND', field, message });
});

test('an id that stands for another proposal is a conflict in that field, and the id is named', () => {
  expect(actionConflict('a-1')).toMatchObject({
    code: 'ACTION_CONFLICT',
    field: 'actionId',
    message: expect.stringContaining('Action a-1 was proposed before with another') as string,
  });
});
